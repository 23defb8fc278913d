"""What a channel's answer changes: the one transition function for the request that asked, the channel's own report
and the resolver (payments.md 4.3). Pure: values in, a Change out, or None when the answer tells nothing new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from payment_gateway.domain import ledger
from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Operation,
    Outcome,
    Succeeded,
    Unknown,
)
from payment_gateway.domain.ledger import AccountName, Posting
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.refund import Refund, RefundStatus


@dataclass(frozen=True, slots=True)
class Change:
    """The rows after an answer. `event` None = nothing worth telling; `is_final` False = ask again later."""

    payment: Payment
    event: str | None
    postings: tuple[Posting, ...] = ()
    refund: Refund | None = None
    is_final: bool = True


def accounts_of(attempt: Attempt, merchant_id: str) -> tuple[AccountName, ...]:
    """The accounts that an answer to `attempt` may move."""
    return (
        ledger.channel_receivable(attempt.channel, attempt.currency),
        ledger.merchant_available(merchant_id, attempt.currency),
    )


def change_payment(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change | None:
    """An answer about an authorisation (or sale), a capture or a void."""
    if payment.open_attempt_id != attempt.id:
        return None  # recorded before: a duplicate or a latecomer
    if isinstance(outcome, Unknown):
        return _lost(attempt, payment, at)
    change = _CHANGES[attempt.operation]
    return change(attempt, outcome, payment, at)


def change_refund(
    attempt: Attempt, outcome: Outcome, payment: Payment, refund: Refund, at: datetime
) -> Change | None:
    """An answer about a refund."""
    if refund.status is not RefundStatus.PENDING:
        return None
    match outcome:
        case Succeeded():
            postings = ledger.refund(
                payment.merchant_id, attempt.channel, payment.currency, refund.amount_minor
            )
            settled = refund.settled(RefundStatus.SUCCEEDED)
            return Change(payment, "refund.succeeded.v1", postings, settled)
        case Declined() | NotProcessed():
            released = machine.refund_released(payment, refund.amount_minor, at)
            return Change(released, "refund.failed.v1", (), refund.settled(RefundStatus.FAILED))
        case _:
            return Change(payment, None, (), refund, is_final=False)


def _lost(attempt: Attempt, payment: Payment, at: datetime) -> Change:
    """No answer that we understand. A held payment stays held while a capture or void is being found out about."""
    if attempt.operation is not Operation.AUTHORISE or payment.status is not Status.PROCESSING:
        return Change(payment, None, is_final=False)
    return Change(machine.answer_lost(payment, at), "payment.unknown.v1", is_final=False)


def _authorisation(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change:
    where = (payment.merchant_id, attempt.channel, payment.currency, payment.amount_minor)
    match outcome:
        case Succeeded(is_captured=True):
            return Change(machine.captured_at_once(payment, at), "payment.captured.v1", ledger.sale(*where))
        case Succeeded():
            return Change(machine.authorised(payment, at), "payment.authorised.v1", ledger.hold(*where))
        case Declined(code=code):
            return Change(machine.declined(payment, code, at), "payment.declined.v1")
        case NotProcessed(code=code):
            return Change(machine.failed(payment, code, at), "payment.failed.v1")
        case ActionRequired(next_action=action) if payment.status is not Status.REQUIRES_ACTION:
            return Change(
                machine.challenged(payment, action, at), "payment.requires_action.v1", is_final=False
            )
        case _:
            return Change(payment, None, is_final=False)


def _capture(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change:
    if not isinstance(outcome, Succeeded):
        return Change(machine.attempt_closed(payment, at), None)
    where = (payment.merchant_id, attempt.channel, payment.currency)
    postings = ledger.capture_of_hold(*where, attempt.amount_minor)
    is_final = attempt.operation is Operation.FINAL_CAPTURE
    if is_final and (rest := payment.capturable_minor - attempt.amount_minor):
        postings += ledger.release_of_hold(*where, rest)
    after = machine.captured(payment, attempt.amount_minor, at, is_final=is_final)
    return Change(after, "payment.captured.v1", postings)


def _void(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change:
    expires = attempt.operation is Operation.EXPIRE
    if payment.status is Status.REQUIRES_ACTION:
        if not isinstance(
            outcome, Succeeded
        ):  # the payer was quicker, perhaps: the authorisation is asked about again
            return Change(machine.attempt_closed(payment, at, attempt.original), None)
        if expires:
            return Change(machine.voided(payment, at, machine.Event.EXPIRE), "payment.expired.v1")
        return Change(machine.cancelled(payment, at), "payment.cancelled.v1")
    if not isinstance(outcome, Succeeded):
        return Change(machine.attempt_closed(payment, at), None)
    where = (payment.merchant_id, attempt.channel, payment.currency, payment.capturable_minor)
    released = ledger.release_of_hold(*where)
    if expires:
        return Change(machine.voided(payment, at, machine.Event.EXPIRE), "payment.expired.v1", released)
    return Change(machine.voided(payment, at), "payment.voided.v1", released)


_CHANGES: Final = {
    Operation.AUTHORISE: _authorisation,
    Operation.CAPTURE: _capture,
    Operation.FINAL_CAPTURE: _capture,
    Operation.VOID: _void,
    Operation.EXPIRE: _void,
}
