"""The ledger by hand: open an account, move, hold, and look at what touched an account."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.amounts import minor_units, written
from platform_cli.daily.gateway import Gateway
from platform_cli.daily.telling import Json, Key, console, merchant_gateway, print_json, print_table, told

PATH = "/v1/ledger"

Name = Annotated[str, typer.Argument(help="an account, such as savings")]
From = Annotated[str, typer.Argument(help="the account that is debited")]
To = Annotated[str, typer.Argument(help="the account that is credited")]
Amount = Annotated[str, typer.Argument(help="such as 12.50")]
Currency = Annotated[str, typer.Argument()]
HoldId = Annotated[str, typer.Argument(help="hld_…")]
Count = Annotated[int, typer.Option("-n", min=1, help="newest so many")]


def ledger_commands() -> typer.Typer:
    """`ledger …`: what is done by hand."""
    group = typer.Typer(help="Accounts of your own: open, move, hold, look.", no_args_is_help=True)
    for name, command in (
        ("open", open_account), ("move", move), ("post", post), ("void", void), ("reverse", reverse),
        ("transfers", transfers), ("holds", holds),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def open_account(
    name: Name,
    currency: Currency = "EUR",
    floor: Annotated[str | None, typer.Option(help="lowest available balance, 0 or below, such as 0")] = None,
    ceiling: Annotated[str | None, typer.Option(help="highest balance, such as 500")] = None,
    as_json: Json = False,
) -> None:
    """Open an account. One that is open with the same bounds stays as it is."""
    currency = currency.upper()
    body = {
        "name": name,
        "currency": currency,
        "floor_minor": _bound(floor, currency),
        "ceiling_minor": _bound(ceiling, currency),
    }
    made = merchant_gateway().change("POST", f"{PATH}/accounts", body)
    if as_json:
        print_json(made)
    else:
        console.print(f"{name} is open in {currency}")


def move(
    debit: From,
    credit: To,
    amount: Amount,
    currency: Currency = "EUR",
    hold: Annotated[bool, typer.Option("--hold", help="set it aside only; `ledger post` moves it")] = False,
    expires_after_s: Annotated[int | None, typer.Option(min=1, help="so long a hold lasts")] = None,
    description: Annotated[str | None, typer.Option()] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Move an amount from one account to another."""
    currency = currency.upper()
    body = {
        "debit_account": debit,
        "credit_account": credit,
        "amount_minor": minor_units(amount, currency),
        "currency": currency,
        "pending": hold,
        "expires_after_s": expires_after_s,
        "description": description,
    }
    made = merchant_gateway().post(f"{PATH}/transfers", body, key)
    if as_json:
        print_json(made)
    elif hold:
        _show_hold(made["hold"], as_json=False)
    else:
        console.print(f"{made['id']}  {written(made['amount_minor'], currency)}  {debit} → {credit}")


def post(
    hold: HoldId,
    amount: Annotated[str | None, typer.Option(help="a part of it; all by default")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Move what is held, or a part of it."""
    gateway = merchant_gateway()
    part = minor_units(amount, gateway.get(f"{PATH}/holds/{hold}")["currency"]) if amount else None
    _show_hold(gateway.post(f"{PATH}/holds/{hold}/post", {"amount_minor": part}, key), as_json)


def void(hold: HoldId, key: Key = None, as_json: Json = False) -> None:
    """Give back what is left of a hold."""
    _show_hold(merchant_gateway().post(f"{PATH}/holds/{hold}/void", {}, key), as_json)


def reverse(
    journal: Annotated[str, typer.Argument(help="je_…")],
    reason: Annotated[str, typer.Option(help="why; it is kept")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take a journal back by a new one, once."""
    made = merchant_gateway().post(f"{PATH}/journals/{journal}/reverse", {"reason": reason}, key)
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']} reverses {journal}")


def transfers(name: Name, currency: Currency = "EUR", count: Count = 20, as_json: Json = False) -> None:
    """What touched an account, newest first; with --json one a line."""
    found = _pages(merchant_gateway(), f"{PATH}/accounts/{name}/transfers", count, currency=currency.upper())
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("at", "journal", "kind", "in", "out", "with", "description", box=None)
    for one in found:
        comes_in = one["credit_account"] == name
        amount = written(one["amount_minor"], one["currency"])
        sides = (amount, "") if comes_in else ("", amount)
        other = one["debit_account"] if comes_in else one["credit_account"]
        table.add_row(
            one["recorded_at"][:19], one["journal_id"], one["kind"], *sides, other, one["description"] or ""
        )
    print_table(table, "nothing touched it yet")


def holds(
    name: Name,
    currency: Currency = "EUR",
    state: Annotated[str | None, typer.Option(help="pending, posted, voided or expired")] = None,
    count: Count = 20,
    as_json: Json = False,
) -> None:
    """Holds from or to an account, newest first; with --json one a line."""
    path, query = f"{PATH}/accounts/{name}/holds", {"currency": currency.upper(), "state": state}
    found = _pages(merchant_gateway(), path, count, **query)
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("hold", "state", "amount", "posted", "remaining", "from", "to", "expires", box=None)
    for one in found:
        amounts = (
            written(one[f"{kind}_minor"], one["currency"]) for kind in ("amount", "posted", "remaining")
        )
        ends = (one["expires_at"] or "")[:19]
        table.add_row(one["id"], one["state"], *amounts, one["debit_account"], one["credit_account"], ends)
    print_table(table, "no holds")


def _pages(gateway: Gateway, path: str, count: int, **query: str | None) -> Iterator[dict[str, Any]]:
    """The newest `count`, page by page."""

    def all_of_them() -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = gateway.get(path, limit=min(count, 100), cursor=cursor, **query)
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    return islice(all_of_them(), count)


def _bound(text: str | None, currency: str) -> int | None:
    """A bound in minor units; minor_units() takes amounts above 0 only."""
    if text is None or text.strip("-0.") == "":
        return None if text is None else 0
    return -minor_units(text[1:], currency) if text.startswith("-") else minor_units(text, currency)


def _show_hold(hold: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(hold)
        return
    remaining = written(hold["remaining_minor"], hold["currency"])
    console.print(f"{hold['id']}  {hold['state']}  {remaining} remain")
