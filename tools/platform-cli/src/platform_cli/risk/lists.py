"""`platform risk lists …`: lists that rules ask by name."""

import csv
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.gateway import Gateway
from platform_cli.daily.telling import REFUSED, Json, Unclear, console, errors, print_json, print_table, told
from platform_cli.risk.engine import engine_to_act, engine_to_read

PATH = "/v1/lists"
BATCH = 1_000  # entries of one request
COLUMNS = ("value", "reason", "expires_at")

Name = Annotated[str, typer.Argument(help="a list of `platform risk lists list`")]


class Type(StrEnum):
    """What of a payment is looked for on the list."""

    CARD = "card"
    CUSTOMER = "customer"
    EMAIL = "email"
    IP = "ip"
    DEVICE = "device"
    BIN = "bin"
    COUNTRY = "country"
    MERCHANT = "merchant"


def list_commands() -> typer.Typer:
    """`lists …`, each command under its own name."""
    group = typer.Typer(help="Lists that rules ask as `list_<name>`.", no_args_is_help=True)
    for name, command in (
        ("list", list_lists), ("make", make), ("add", add), ("import", import_entries), ("export", export),
        ("entries", entries), ("remove", remove), ("hits", hits),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_lists(as_json: Json = False) -> None:
    """All lists, with how many are on each."""
    found = engine_to_read().get(PATH)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("list", "type", "entries", "rules read", "made by", "note", box=None)
    for one in found:
        table.add_row(
            one["name"],
            one["type"],
            f"{one['entry_count']:,}",
            one["fact"],
            one["made_by"],
            one["note"] or "-",
        )
    print_table(table, "no lists: `platform risk lists make stolen --type card`")


def make(
    name: Annotated[str, typer.Argument(help="a-z, 0-9 and _; rules read list_<name>")],
    type: Annotated[Type, typer.Option(help="what of a payment is looked for on it")],
    note: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Make a list with nobody on it."""
    body = {"name": name, "type": type.value} | ({"note": note} if note else {})
    made = engine_to_act().change("POST", PATH, body)
    print_json(made) if as_json else console.print(f"rules may now ask {made['fact']}")


def add(
    name: Name,
    value: Annotated[str, typer.Argument(help="a card's token, an address, a country, …")],
    reason: Annotated[str, typer.Option(help="for whoever reads it in a year")],
    until: Annotated[str | None, typer.Option(help="as 2027-01-31T00:00:00Z; without it for good")] = None,
) -> None:
    """Bring somebody on a list, or renew them. Exit 1 when the value is not acceptable."""
    entry = {"value": value, "reason": reason, "expires_at": until}
    _tell_refused(engine_to_act(), name, [entry])


def import_entries(
    name: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV: value,reason,expires_at")],
) -> None:
    """Bring all lines of a CSV file on a list. Exit 1 when some were not acceptable; the others are on it."""
    with file.open(encoding="utf-8", newline="") as opened:
        lines = csv.DictReader(opened)
        if not {"value", "reason"} <= set(lines.fieldnames or ()):
            raise Unclear(
                f"The first line of {file} names the columns: value,reason and, if you like, expires_at."
            )
        found = [
            {"value": line["value"], "reason": line["reason"], "expires_at": line.get("expires_at") or None}
            for line in lines
        ]
    _tell_refused(engine_to_act(), name, found)


def export(name: Name) -> None:
    """Everybody on a list as CSV, as `import` reads it."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for one in _all(engine_to_read(), name):
        writer.writerow([one[column] or "" for column in COLUMNS])


def entries(
    name: Name,
    with_removed: Annotated[bool, typer.Option("--all", help="also those that are off it again")] = False,
    as_json: Json = False,
) -> None:
    """The newest entries of a list, with who brought them on and why."""
    query = {"limit": 50} | ({"with_removed": "true"} if with_removed else {})
    found = engine_to_read().get(f"{PATH}/{name}/entries", **query)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("entry", "value", "reason", "by", "since", "until", box=None)
    for one in found:
        until = f"off by {one['removed_by']}" if one["removed_by"] else (one["expires_at"] or "-")[:19]
        table.add_row(
            str(one["id"]), one["value"], one["reason"], one["added_by"], one["added_at"][:19], until
        )
        if one["warning"] and not one["removed_by"]:
            errors.print(f"{one['value']}: {one['warning']}", style="yellow", markup=False, soft_wrap=True)
    print_table(table, "nobody is on it")


def remove(
    name: Name, entry: Annotated[int, typer.Argument(help="a number of `entries`")], as_json: Json = False
) -> None:
    """Take an entry off its list."""
    done = engine_to_act().change("POST", f"{PATH}/{name}/entries/{entry}/remove", {})
    print_json(done) if as_json else console.print(f"{done['value']} is off {name}")


def hits(name: Name, as_json: Json = False) -> None:
    """The newest assessments that the list spoke of."""
    found = engine_to_read().get(f"{PATH}/{name}/hits", limit=50)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("at", "payment", "merchant", "decision", "assessment", box=None)
    for one in found:
        table.add_row(
            one["created_at"][:19],
            one["payment_id"],
            one["merchant_id"],
            one["decision"],
            one["assessment_id"],
        )
    print_table(table, "it has met nobody")


def _all(engine: Gateway, name: str) -> Iterator[Mapping[str, Any]]:
    cursor = None
    while True:
        page = engine.get(f"{PATH}/{name}/entries", limit=1000, cursor=cursor)
        yield from page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _tell_refused(engine: Gateway, name: str, found: list[dict[str, Any]]) -> None:
    refused, counted = 0, {"added": 0, "renewed": 0}
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        answers = engine.change("POST", f"{PATH}/{name}/entries", {"data": batch})["data"]
        for entry, answer in zip(batch, answers, strict=True):
            if answer["result"] == "refused":
                refused += 1
                errors.print(f"{entry['value']!r}: {answer['detail']}", markup=False)
            else:
                counted[answer["result"]] += 1
    console.print(
        f"{counted['added']:,} added to {name}, {counted['renewed']:,} renewed, {refused:,} refused"
    )
    if refused:
        raise typer.Exit(REFUSED)
