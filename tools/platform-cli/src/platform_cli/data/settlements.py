"""`platform data settlements …`: what each merchant is owed in each currency, and its statements."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from platform_cli.daily.amounts import written
from platform_cli.daily.telling import REFUSED, Json, console, print_json, print_table, told
from platform_cli.data.pipeline import As, acting_for, pipeline
from platform_cli.data.reports import fetch

PATH: Final = "/v1/settlements"

SettlementId = Annotated[str, typer.Argument(help="stl_…")]


class Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    GENERATED = "generated"
    PAID = "paid"
    RECONCILED = "reconciled"
    ALL = "all"


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


def settlement_commands() -> typer.Typer:
    """`settlements …`, each command under its own name."""
    group = typer.Typer(help="What each merchant is owed in each currency.", no_args_is_help=True)
    for name, command in (
        ("list", list_settlements), ("show", show), ("lines", lines), ("close", close), ("statement", statement),
        ("checks", checks),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_settlements(
    which: Annotated[Which, typer.Argument()] = Which.ALL,
    merchant: Annotated[str | None, typer.Option(help="mer_…")] = None,
    currency: Annotated[str | None, typer.Option(help="such as EUR")] = None,
    after: Annotated[str | None, typer.Option("--from", help="closed after this time")] = None,
    before: Annotated[str | None, typer.Option("--to", help="opened before this time")] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=200)] = 20,
    as_json: Json = False,
) -> None:
    """The newest first. An open one is what it comes to by now."""
    query = {"merchant_id": merchant, "currency": currency, "from": after, "to": before, "limit": count}
    found = pipeline().get(PATH, state=None if which is Which.ALL else which.value, **query)
    if as_json:
        for one in found["data"]:
            print_json(one)
        return
    table = Table("settlement", "merchant", "no.", "until", "state", "lines", box=None)
    for heading in ("opening", "paid out", "closing"):
        table.add_column(heading, justify="right")
    for one in found["data"]:
        amounts = (
            one["opening_minor"],
            one["came_back_minor"] - one["sections"]["payouts"],
            one["closing_minor"],
        )
        table.add_row(
            one["id"], f"…{one['merchant_id'][-6:]}", str(one["number"]), one["closes_at"][:16], one["state"],
            f"{one['line_count']:,}", *(written(amount, one["currency"]) for amount in amounts),
        )  # fmt: skip
    print_table(table, "no settlements yet: they appear within a minute after a merchant's first payment")


def show(settlement_id: SettlementId, as_json: Json = False) -> None:
    """One: from the opening balance to the payout and what is carried over, and the accounts of the ledger."""
    found = pipeline().get(f"{PATH}/{settlement_id}")
    if as_json:
        print_json(found)
        return
    currency = found["currency"]
    console.print(f"{found['id']}  {found['merchant_id']}  {currency}  no. {found['number']}", soft_wrap=True)
    console.print(f"{_since(found)} to {found['closes_at'][:19]}, {found['state']}{_closed(found)}")
    _print_sums(found, currency)
    for payout in found["payouts"]:
        amount = written(payout["amount_minor"], currency)
        way = f"to {payout['destination']}: {payout['status']}" if payout["status"] else "not told yet"
        console.print(f"  {payout['payout_id']}  {amount} {way}")
    table = Table("account", box=None)
    for heading in ("before", "after"):
        table.add_column(heading, justify="right")
    for account, sides in found["accounts"].items():
        table.add_row(
            account, *(written(sides[side], currency) for side in ("opening_minor", "closing_minor"))
        )
    print_table(table, "")
    for one in found["statements"]:
        console.print(
            f"{one['format']:<5} {one['byte_count']:>9,} bytes  sha256 {one['sha256']}", soft_wrap=True
        )


def lines(
    settlement_id: SettlementId,
    count: Annotated[int, typer.Option("-n", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """Its movements in order of time."""
    door = pipeline()
    found = door.get(f"{PATH}/{settlement_id}/lines", limit=count)["data"]
    if as_json:
        for one in found:
            print_json(one)
        return
    currency = door.get(f"{PATH}/{settlement_id}")["currency"] if found else ""
    table = Table("at", "section", "movement", "of", "reference", box=None)
    table.add_column("amount", justify="right")
    for one in found:
        table.add_row(
            one["occurred_at"][:19], one["section"], one["kind"] + (" (late)" if one["is_late"] else ""),
            one["object_id"], one["reference"] or "-", written(one["effect_minor"], currency),
        )  # fmt: skip
    print_table(table, "no movements")


def close(
    settlement_id: SettlementId,
    by: As = None,
    as_json: Json = False,
) -> None:
    """Close it now instead of after its day. What happens from here on goes into the next one."""
    found = pipeline().change("POST", f"{PATH}/{settlement_id}/close", {}, acting_for(by))
    if as_json:
        print_json(found)
        return
    amount = written(found["closing_minor"], found["currency"])
    console.print(f"{found['id']} is closed with {found['line_count']:,} lines; {amount} are carried over")


def statement(
    settlement_id: SettlementId,
    to: Annotated[Path | None, typer.Option("--out", "-o", help="where the file goes")] = None,
    format_: Annotated[Format, typer.Option("--format", "-f")] = Format.CSV,
) -> None:
    """Fetch its statement and check it against its hash. Exit 1 while there is none."""
    door = pipeline()
    found = door.get(f"{PATH}/{settlement_id}")
    made = [one for one in found["statements"] if one["format"] == format_.value]
    if not made:
        console.print(f"{settlement_id} is {found['state']}: its {format_.value} statement is not made yet")
        raise typer.Exit(REFUSED)
    path = to or Path(f"{settlement_id}.{format_.value}")
    digest = fetch(door.url + made[0]["download"]["path"], path)
    if digest != made[0]["sha256"]:
        console.print(f"{path} is not what its hash says: fetch it again", style="red")
        raise typer.Exit(REFUSED)
    console.print(f"{path}  {made[0]['byte_count']:,} bytes  sha256 {digest}", soft_wrap=True)


def _print_sums(found: dict[str, Any], currency: str) -> None:
    table = Table("", box=None, show_header=False)
    table.add_column("", justify="right")
    table.add_row("opening balance", written(found["opening_minor"], currency))
    for section, amount in found["sections"].items():
        if amount:
            table.add_row(section, written(amount, currency))
    table.add_row("closing balance", written(found["closing_minor"], currency))
    print_table(table, "")


def _since(found: dict[str, Any]) -> str:
    return "from the first movement" if found["number"] == 1 else f"from {found['opened_at'][:19]}"


def _closed(found: dict[str, Any]) -> str:
    return f", closed by {found['closed_by']}" if found["closed_by"] else ""


def checks(as_json: Json = False) -> None:
    """How far settlements were compared with the facts, which differ, and movements that were in none. Exit 1 while one
    differs, or while no settlement can take a movement."""
    found = pipeline().get(f"{PATH}/checks")
    left_out = pipeline().get(f"{PATH}/left-out", limit=200)["data"]
    is_wrong = bool(found["differing"] or found["no_batch_count"])
    if as_json:
        print_json(found | {"left_out": left_out})
        raise typer.Exit(REFUSED if is_wrong else 0)
    since = (found["checked_since"] or "never")[:19]
    console.print(f"settlements compared since {since}, {found['unchecked_count']:,} wait for the first time")
    console.print(
        f"movements looked at up to event {found['followed_position']:,}, the round through all of them "
        + (f"ended {found['ended_at'][:19]}" if found["ended_at"] else f"is at {found['walked_position']:,}")
    )
    for settlement_id in found["differing"]:
        console.print(f"differs: {settlement_id}", style="red")
    table = Table("movement left out", "happened", "merchant", "amount", "goes to", box=None)
    for one in left_out:
        goes_to = one["taken_by"] or one["next_batch_id"] or "no settlement can take it"
        amount = written(one["amount_minor"], one["currency"])
        merchant = f"…{one['merchant_id'][-6:]}" if one["merchant_id"] else "-"
        table.add_row(
            f"{one['journal_id']}:{one['line']}", one["occurred_at"][:19], merchant, amount, goes_to
        )
    print_table(table, "no movement was left out")
    raise typer.Exit(REFUSED if is_wrong else 0)
