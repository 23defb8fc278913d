"""Payments, looked at: one with its story, or many."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from platform_cli.daily.amounts import written
from platform_cli.daily.events import all_events
from platform_cli.daily.gateway import Gateway
from platform_cli.daily.telling import Json, console, errors, merchant_gateway, print_json, print_table

PAGE = 100

PaymentId = Annotated[str, typer.Argument(help="pay_…")]


def show(payment: PaymentId, as_json: Json = False) -> None:
    """One payment, its refunds and its story."""
    gateway = merchant_gateway()
    found = gateway.get(f"/v1/payments/{payment}")
    refunds = gateway.get(f"/v1/payments/{payment}/refunds")["data"]
    story = list(all_events(gateway, of=payment))
    if as_json:
        print_json({"payment": found, "refunds": refunds, "events": story})
        return
    show_payment(found, as_json=False)
    for refund in refunds:
        console.print(
            f"  {refund['id']}  {written(refund['amount_minor'], refund['currency'])}  {refund['status']}"
        )
    table = Table("at", "event", "amount", box=None)
    for event in story:
        table.add_row(event["occurred_at"], event["type"], _amount_of(event))
    print_table(table, "no events yet")


def list_payments(
    status: Annotated[str | None, typer.Option(help="such as captured")] = None,
    reference: Annotated[str | None, typer.Option()] = None,
    customer: Annotated[str | None, typer.Option(help="of this saved customer, cus_…")] = None,
    since: Annotated[str | None, typer.Option(help="made from this time on, as 2026-11-26T09:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="made before this time")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="newest so many")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="back to the first one")] = False,
    as_json: Json = False,
) -> None:
    """Payments, newest first; with --json one a line."""
    filters = {
        "status": status, "reference": reference, "customer_id": customer, "created_from": since, "created_to": until,
    }  # fmt: skip
    found = _payments(merchant_gateway(), None if everything else limit, **filters)
    if as_json:
        for payment in found:
            print_json(payment)
        return
    table = Table(
        "payment", "status", "amount", "captured", "refunded", "channel", "reference", "at", box=None
    )
    with Progress(console=errors, transient=True, disable=not everything and limit <= PAGE) as progress:
        task = progress.add_task("reading", total=None if everything else limit)
        for one in found:
            table.add_row(*_row(one))
            progress.update(task, advance=1, description=f"{table.row_count:,} payments")
    print_table(table, "no payments")


def show_payment(payment: dict[str, Any], as_json: bool) -> None:
    """A payment on a few lines, or as one line of JSON."""
    if as_json:
        print_json(payment)
        return
    currency = payment["currency"]
    refused = f" ({payment['decline_code']})" if payment["decline_code"] else ""
    amount = written(payment["amount_minor"], currency)
    console.print(f"{payment['id']}  {amount}  {payment['status']}{refused}", soft_wrap=True)
    for name in ("captured", "refunded"):
        if payment[f"{name}_minor"]:
            console.print(f"  {name} {written(payment[f'{name}_minor'], currency)}")
    if action := payment["next_action"]:
        console.print(f"  the payer must act: {action.get('url', action)}", soft_wrap=True)


def _amount_of(event: dict[str, Any]) -> str:
    """What the event is about: the refund, all that is captured by then, or the whole payment."""
    refund, payment = event["data"].get("refund"), event["data"]["payment"]
    if refund:
        return written(refund["amount_minor"], refund["currency"])
    which = "captured_minor" if event["type"].startswith("payment.captured.") else "amount_minor"
    return written(payment[which], payment["currency"])


def _row(payment: dict[str, Any]) -> list[str]:
    amounts = [written(payment[f"{name}_minor"], payment["currency"]) for name in _AMOUNTS]
    channel, reference = payment["channel"] or "", payment["reference"] or ""
    return [payment["id"], payment["status"], *amounts, channel, reference, payment["created_at"][:19]]


_AMOUNTS = ("amount", "captured", "refunded")


def _payments(gateway: Gateway, limit: int | None, **filters: str | None) -> Iterator[dict[str, Any]]:
    """The newest `limit`; None = all."""
    cursor, left = None, limit
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        page = gateway.get("/v1/payments", limit=size, cursor=cursor, **filters)
        yield from page["data"]
        left = None if left is None else left - len(page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return
