"""Payouts: what left for a merchant's bank account, one more of them, and calling one back in time."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.amounts import minor_units, written
from platform_cli.daily.telling import Json, Key, console, merchant_gateway, print_json, print_table, told

PATH = "/v1/payouts"

PayoutId = Annotated[str, typer.Argument(help="po_…")]


class PayoutStatus(StrEnum):
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"
    CANCELLED = "cancelled"


def payout_commands() -> typer.Typer:
    """`payouts`, which lists, and what is done with one."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(told(payouts))
    group.command("make")(told(make))
    group.command("cancel")(told(cancel))
    return group


def payouts(
    context: typer.Context,
    status: Annotated[PayoutStatus | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="newest so many")] = 20,
    as_json: Json = False,
) -> None:
    """What was paid out, newest first."""
    if context.invoked_subcommand is not None:
        return
    found = merchant_gateway().get(PATH, status=status, limit=limit)["data"]
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("payout", "status", "amount", "to", "for the day", "at", box=None)
    for one in found:
        refused = f"{one['status']} ({one['failure_code']})" if one["failure_code"] else one["status"]
        amount = written(one["amount_minor"], one["currency"])
        table.add_row(
            one["id"], refused, amount, one["destination"], one["slot"] or "", one["created_at"][:19]
        )
    print_table(table, "no payouts")


def make(
    amount: Annotated[str, typer.Argument(help="such as 120.00")],
    currency: Annotated[str, typer.Argument()],
    to: Annotated[str, typer.Option(help="the bank account, ba_…")],
    description: Annotated[str | None, typer.Option()] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Pay a part of the available balance out."""
    currency = currency.upper()
    body = {
        "amount_minor": minor_units(amount, currency),
        "currency": currency,
        "destination": to,
        "description": description,
    }
    _show(merchant_gateway().post(PATH, body, key), as_json)


def cancel(payout: PayoutId, key: Key = None, as_json: Json = False) -> None:
    """Call a payout back that is not sent."""
    _show(merchant_gateway().post(f"{PATH}/{payout}/cancel", {}, key), as_json)


def _show(payout: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(payout)
        return
    amount = written(payout["amount_minor"], payout["currency"])
    console.print(f"{payout['id']}  {amount}  {payout['status']}  to {payout['destination']}", soft_wrap=True)
