"""`platform risk staff …`: the people of risk control. The administrator's business, by the services' token."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from platform_cli.daily.telling import Json, console, print_json, print_table, told
from platform_cli.risk.engine import TOKEN, engine_as_administrator

PATH = "/v1/staff"


class Role(StrEnum):
    """What a person may do; each is a column of the table in docs/risk.md."""

    ANALYST = "analyst"
    LEAD = "lead"
    AUDITOR = "auditor"


def staff_commands() -> typer.Typer:
    """`staff …`, each command under its own name."""
    group = typer.Typer(help="The people of risk control.", no_args_is_help=True)
    for name, command in (("admit", admit), ("list", list_staff), ("end", end)):
        group.command(name)(told(command))
    return group


def admit(
    name: Annotated[str, typer.Argument(help="stands in the record of every act: a-z, 0-9, . _ @ -")],
    role: Annotated[Role, typer.Option()] = Role.ANALYST,
    as_json: Json = False,
) -> None:
    """Admit a person and show their token, this once."""
    made = engine_as_administrator().change("POST", PATH, {"name": name, "role": role.value})
    if as_json:
        print_json(made)
        return
    console.print(f"{made['id']}  {made['name']} is {made['role']}; their token, shown this once:")
    console.print(f"export {TOKEN}={made['token']}", soft_wrap=True)


def list_staff(as_json: Json = False) -> None:
    """Everybody, also those who have ended."""
    found = engine_as_administrator().get(PATH)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("id", "name", "role", "since", "ended", box=None)
    for one in found:
        table.add_row(
            one["id"], one["name"], one["role"], one["created_at"][:19], (one["ended_at"] or "-")[:19]
        )
    print_table(table, "nobody: `platform risk staff admit ada --role lead`")


def end(staff: Annotated[str, typer.Argument(help="stf_…")], as_json: Json = False) -> None:
    """End a person's token; their name stays in what they did."""
    ended = engine_as_administrator().change("POST", f"{PATH}/{staff}/end", {})
    print_json(ended) if as_json else console.print(f"{ended['name']} has ended")
