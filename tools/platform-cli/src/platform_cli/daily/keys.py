"""A merchant's API keys: what there is, and making, renewing and ending one."""

from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.telling import Json, console, merchant_gateway, print_json, print_table, told

PATH = "/v1/api-keys"

KeyId = Annotated[str, typer.Argument(help="key_…, as `platform keys` lists it")]


def key_commands() -> typer.Typer:
    """`keys`, which lists, and what is done to one of them."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(told(keys))
    for name, command in (("create", create), ("rotate", rotate), ("revoke", revoke)):
        group.command(name)(told(command))
    return group


def keys(context: typer.Context, as_json: Json = False) -> None:
    """API keys; `keys create`, `rotate` and `revoke` change them."""
    if context.invoked_subcommand is not None:
        return
    found = merchant_gateway().get(PATH)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("key", "name", "hint", "may", "used", "expires", "revoked", box=None)
    for one in found:
        may = "everything" if one["scopes"] is None else ", ".join(one["scopes"])
        ends = ((one[name] or "")[:19] for name in ("last_used_at", "expires_at", "revoked_at"))
        table.add_row(one["id"], one["name"] or "", one["hint"] or "", may, *ends)
    print_table(table, "no keys")


def create(
    name: Annotated[str | None, typer.Argument(help="such as reporting")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="such as payments:read (docs/api.md); may be repeated")
    ] = None,
    expires_at: Annotated[str | None, typer.Option(help="such as 2027-01-01T00:00:00Z")] = None,
    as_json: Json = False,
) -> None:
    """A new key, shown once; without --scope it may all that yours may."""
    body = {"name": name, "scopes": scope or None, "expires_at": expires_at}
    _show_new(merchant_gateway().change("POST", PATH, body), as_json)


def rotate(
    key: KeyId,
    overlap_s: Annotated[
        int, typer.Option(min=0, help="so long the old key works too; 0 if it has leaked")
    ] = 86_400,
    as_json: Json = False,
) -> None:
    """A new key that may the same, shown once."""
    _show_new(merchant_gateway().change("POST", f"{PATH}/{key}/rotate", {"overlap_s": overlap_s}), as_json)


def revoke(key: KeyId, as_json: Json = False) -> None:
    """End a key."""
    made = merchant_gateway().change("POST", f"{PATH}/{key}/revoke", {})
    print_json(made) if as_json else console.print(f"{key} is revoked")


def _show_new(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']}\nDEMO_API_KEY={made['api_key']}", soft_wrap=True)
