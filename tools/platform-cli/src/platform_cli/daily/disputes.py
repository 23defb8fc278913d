"""Disputes: what payers' banks take back, and what a merchant has to say to it."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.acts import pairs_of
from platform_cli.daily.amounts import written
from platform_cli.daily.telling import (
    Json,
    Key,
    Unclear,
    console,
    merchant_gateway,
    print_json,
    print_table,
    told,
)

PATH = "/v1/disputes"

DisputeId = Annotated[str, typer.Argument(help="dp_…")]


class DisputeStatus(StrEnum):
    WARNING = "warning"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


def dispute_commands() -> typer.Typer:
    """`disputes`, which lists, and what is done about one."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(told(disputes))
    for name, command in (("show", show), ("answer", answer), ("accept", accept)):
        group.command(name)(told(command))
    return group


def disputes(
    context: typer.Context,
    status: Annotated[DisputeStatus | None, typer.Option(help="such as needs_response")] = None,
    payment: Annotated[str | None, typer.Option(help="of this payment, pay_…")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="newest so many")] = 20,
    as_json: Json = False,
) -> None:
    """What is disputed, newest first, and until when it can be answered."""
    if context.invoked_subcommand is not None:
        return
    found = merchant_gateway().get(PATH, status=status, payment_id=payment, limit=limit)["data"]
    if as_json:
        for one in found:
            print_json(one)
        return
    table = Table("dispute", "payment", "status", "amount", "reason", "answer until", box=None)
    for one in found:
        until = one["evidence_due_at"][:19] if one["status"] in ("needs_response", "warning") else ""
        amount = written(one["amount_minor"], one["currency"])
        table.add_row(one["id"], one["payment_id"], one["status"], amount, one["reason"], until)
    print_table(table, "nothing is disputed")


def show(dispute: DisputeId, as_json: Json = False) -> None:
    """One dispute and what was said to it."""
    _show(merchant_gateway().get(f"{PATH}/{dispute}"), as_json)


def answer(
    dispute: DisputeId,
    evidence: Annotated[list[str] | None, typer.Option(help="name=text; may be repeated")] = None,
    submit: Annotated[bool, typer.Option("--submit", help="send it to the bank: once, and for good")] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Keep evidence, or with --submit send all that is kept."""
    if not evidence and not submit:
        raise Unclear("Say something: --evidence name=text, --submit, or both.")
    body = {"evidence": pairs_of(evidence or []), "submit": submit}
    _show(merchant_gateway().post(f"{PATH}/{dispute}/evidence", body, key), as_json)


def accept(dispute: DisputeId, key: Key = None, as_json: Json = False) -> None:
    """Give in: the money is the payer's."""
    _show(merchant_gateway().post(f"{PATH}/{dispute}/accept", {}, key), as_json)


def _show(dispute: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(dispute)
        return
    amount = written(dispute["amount_minor"], dispute["currency"])
    console.print(f"{dispute['id']}  {amount}  {dispute['status']}  {dispute['reason']}", soft_wrap=True)
    console.print(f"  of {dispute['payment_id']}, answer until {dispute['evidence_due_at'][:19]}")
    for name, text in dispute["evidence"].items():
        console.print(f"  {name}: {text}", soft_wrap=True)
