"""Merchants, administered: with ADMIN_API_KEY."""

from typing import Annotated

import typer
from rich.table import Table

from platform_cli.daily.telling import Json, admin_gateway, console, print_json, print_table, told

PATH = "/v1/merchants"
PAGE_MAX = 100
BASIS_POINTS_PER_PERCENT = 100

MerchantId = Annotated[str, typer.Argument(help="mer_…, as `platform merchants list` lists it")]


def merchant_commands() -> typer.Typer:
    """`merchants create`, `list`, `show`, `reserve`, `disable`, `enable`."""
    group = typer.Typer(no_args_is_help=True, help="Merchants; needs ADMIN_API_KEY.")
    group.command("create")(told(create))
    group.command("list")(told(list_all))
    for command in (show, reserve, disable, enable):
        group.command(command.__name__)(told(command))
    return group


def create(
    name: Annotated[str, typer.Argument(help="such as 'Corner shop'")],
    country: Annotated[str, typer.Option(help="two letters")] = "DE",
    as_json: Json = False,
) -> None:
    """A merchant and its first API key, which is shown this once."""
    made = admin_gateway().change("POST", PATH, {"name": name, "country": country.upper()})
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']}  {name}\nDEMO_API_KEY={made['api_key']}", soft_wrap=True)


def list_all(
    count: Annotated[int, typer.Option("-n", min=1, max=PAGE_MAX, help="how many")] = 20,
    as_json: Json = False,
) -> None:
    """Merchants, the newest first."""
    found = admin_gateway().get(PATH, limit=count)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("merchant", "name", "country", "API version", "disabled", "made", box=None)
    for one in found:
        times = ((one[name] or "")[:19] for name in ("disabled_at", "created_at"))
        table.add_row(one["id"], one["name"], one["country"], one["api_version"], *times)
    print_table(table, "no merchants")


def show(merchant: MerchantId, as_json: Json = False) -> None:
    """One merchant, its terms, and what was done to it last."""
    gateway = admin_gateway()
    found = gateway.get(f"{PATH}/{merchant}")
    terms = gateway.get(f"{PATH}/{merchant}/terms")
    acts = gateway.get("/v1/admin/audit-log", merchant_id=merchant, limit=10)["data"]
    if as_json:
        print_json(found | {"terms": terms, "acts": acts})
        return
    state = f"disabled since {found['disabled_at'][:19]}" if found["disabled_at"] else "enabled"
    console.print(f"{found['id']}  {found['name']}  {found['country']}  {state}", soft_wrap=True)
    console.print(
        f"  API version {found['api_version']}, settled after {terms['settlement_delay_days']} days,"
        f" paid out to {terms['payout_destination'] or 'nobody by itself'}, {_told(terms['reserve'])}",
        soft_wrap=True,
    )
    table = Table("at", "by", "act", "object", box=None)
    for one in acts:
        by = one["actor"]["id"] or one["actor"]["type"]
        table.add_row(one["created_at"][:19], by, one["action"], one["object_id"])
    print_table(table, "no acts")


def reserve(
    merchant: MerchantId,
    percent: Annotated[float, typer.Option(min=0, max=100, help="of each settlement; 0 = none from now on")],
    days: Annotated[int, typer.Option(min=1, max=365, help="how long it is kept")] = 180,
    as_json: Json = False,
) -> None:
    """Keep a share of each settlement back from now on; its other terms stay as they are."""
    gateway = admin_gateway()
    path = f"{PATH}/{merchant}/terms"
    terms = gateway.get(path)
    del terms["merchant_id"]
    points = round(percent * BASIS_POINTS_PER_PERCENT)
    wanted = {"basis_points": points, "days": days} if points else None
    changed = gateway.change("PUT", path, terms | {"reserve": wanted})
    print_json(changed) if as_json else console.print(f"{merchant}: {_told(changed['reserve'])}")


def disable(
    merchant: MerchantId,
    reason: Annotated[str | None, typer.Option(help="goes into the audit log")] = None,
    as_json: Json = False,
) -> None:
    """Its keys open nothing within a second; what it has running is finished and settled."""
    _switch(merchant, "disable", {"reason": reason}, as_json)


def enable(merchant: MerchantId, as_json: Json = False) -> None:
    """Its keys work again."""
    _switch(merchant, "enable", {}, as_json)


def _switch(merchant: str, act: str, body: dict[str, str | None], as_json: bool) -> None:
    changed = admin_gateway().change("POST", f"{PATH}/{merchant}/{act}", body)
    print_json(changed) if as_json else console.print(f"{merchant} is {act}d")


def _told(reserve: dict[str, int] | None) -> str:
    if reserve is None:
        return "no reserve"
    share = reserve["basis_points"] / BASIS_POINTS_PER_PERCENT
    return f"{share:g} % of each settlement in reserve for {reserve['days']} days"
