"""What channels' files have and nobody can explain: book it, look, say whose it is. With ADMIN_API_KEY."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.amounts import minor_units, written
from platform_cli.daily.telling import Json, admin_gateway, console, print_json, print_table, told

PATH = "/v1/admin/suspense"
PAGE_MAX = 100


class Direction(StrEnum):
    """Seen from us: the channel pays more than we know of, or less."""

    RECEIVED = "received"
    TAKEN = "taken"


class Owner(StrEnum):
    """Whose an item turns out to be."""

    CHANNEL = "channel"
    COSTS = "costs"
    PLATFORM = "platform"
    MERCHANT = "merchant"


Note = Annotated[str, typer.Option(help="why; kept with the item and in the audit log")]


def suspense_commands() -> typer.Typer:
    """`suspense book`, `list`, `resolve`."""
    group = typer.Typer(no_args_is_help=True, help="Money that nobody can explain; needs ADMIN_API_KEY.")
    for name, command in (("book", book), ("list", list_all), ("resolve", resolve)):
        group.command(name)(told(command))
    return group


def book(
    channel: Annotated[str, typer.Argument(help="such as card_sim")],
    reference: Annotated[str, typer.Argument(help="of the break, or the line of the file")],
    direction: Annotated[Direction, typer.Argument(help="the channel pays more than we know of, or less")],
    amount: Annotated[str, typer.Argument(help="such as 12.50")],
    note: Note,
    currency: Annotated[str, typer.Argument()] = "EUR",
    as_json: Json = False,
) -> None:
    """Take a line out of what the channel owes. The same line again changes nothing."""
    currency = currency.upper()
    body = {
        "channel": channel,
        "reference": reference,
        "direction": direction.value,
        "amount_minor": minor_units(amount, currency),
        "currency": currency,
        "note": note,
    }
    _tell(admin_gateway().change("POST", PATH, body), as_json)


def list_all(
    every: Annotated[bool, typer.Option("--all", help="the resolved ones too")] = False,
    count: Annotated[int, typer.Option("-n", min=1, max=PAGE_MAX, help="how many")] = 20,
    as_json: Json = False,
) -> None:
    """What is open."""
    found = admin_gateway().get(PATH, limit=count, open="false" if every else "true")["data"]
    if as_json:
        print_json(found)
        return
    table = Table("item", "channel", "reference", "direction", "amount", "whose", "note", "since", box=None)
    for one in found:
        whose = one["merchant_id"] or one["resolved_to"] or "nobody's yet"
        amount = written(one["amount_minor"], one["currency"])
        names = (one["id"], one["channel"], one["reference"], one["direction"], amount)
        table.add_row(*names, whose, one["resolution"] or one["note"], one["created_at"][:19])
    print_table(table, "nothing in suspense")


def resolve(
    item: Annotated[str, typer.Argument(help="sus_…, as `platform suspense list` lists it")],
    to: Annotated[Owner, typer.Argument(help="whose it is")],
    note: Note,
    merchant: Annotated[str | None, typer.Option(help="mer_…, when it is a merchant's")] = None,
    as_json: Json = False,
) -> None:
    """Say whose it is, once: the channel's mistake, a fee of its, the platform's loss or gain, a merchant's."""
    body = {"to": to.value, "note": note} | ({"merchant_id": merchant} if merchant else {})
    _tell(admin_gateway().change("POST", f"{PATH}/{item}/resolve", body), as_json)


def _tell(item: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(item)
        return
    whose = item["merchant_id"] or item["resolved_to"]
    state = f"resolved: {whose}" if whose else "in suspense"
    amount = written(item["amount_minor"], item["currency"])
    console.print(f"{item['id']}  {amount} {item['direction']}, {state}", soft_wrap=True)
