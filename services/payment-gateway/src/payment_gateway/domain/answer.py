"""What a channel's answer changes: the one transition function for the request that asked, the channel's own report
and the resolver (payments.md 4.3). Pure: values in, a Change out, or None when the answer tells nothing new.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from payment_gateway.domain import payment as machine
from payment_gateway.domain import postings as post
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
from payment_gateway.domain.fees import FeePlan
from payment_gateway.domain.ledger import AccountName, Posting, channel_receivable
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.refund import Refund, RefundStatus


class SuccessOutOfTurn(Exception):
    """An authorisation succeeded that its payment does not wait for, and that is not the one it has: it was given up,
    or is being given up just now. Nothing is written; money may have moved."""

    def __init__(self, attempt_id: str) -> None:
        super().__init__(f"{attempt_id} succeeded out of turn")


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
    kinds = _KINDS.get(attempt.operation, ("pending", "available"))
    if attempt.surcharge_minor or attempt.operation is Operation.FINAL_CAPTURE:
        kinds = (*kinds, "surcharge")
    returned = (post.platform_account("fees", attempt.currency),)
    return (
        channel_receivable(attempt.channel, attempt.currency),
        *(returned if attempt.operation is Operation.REFUND else ()),
        *(post.merchant_account(merchant_id, kind, attempt.currency) for kind in kinds),
    )


_KINDS: Final = {Operation.AUTHORISE: ("pending",), Operation.REFUND: ("available",)}


def _where_held(payment: Payment) -> str:
    """The merchant's account that the hold is on: one of before settlement delays is on `available` and ends there."""
    return "pending" if payment.authorised_by else "available"


def with_fee(change: Change, before: Payment, plan: FeePlan) -> Change:
    """The same change, and the fee of what it captured as a further posting of the same journal."""
    captured = change.payment.captured_minor - before.captured_minor
    if captured <= 0 or _where_held(change.payment) != "pending":
        return change
    method = str(change.payment.method["type"]) if change.payment.method else None
    fee_minor = plan.fee_minor(method, captured, change.payment.currency)
    lines = post.fee(change.payment.merchant_id, change.payment.currency, fee_minor)
    charged = replace(change.payment, fee_minor=change.payment.fee_minor + fee_minor)
    return replace(change, payment=charged, postings=(*change.postings, *lines))


def change_payment(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change | None:
    """An answer about an authorisation (or sale), a capture or a void. Raises SuccessOutOfTurn."""
    if payment.open_attempt_id != attempt.id:
        succeeded = attempt.operation is Operation.AUTHORISE and isinstance(outcome, Succeeded)
        if succeeded and payment.authorised_by != attempt.id:
            raise SuccessOutOfTurn(attempt.id)
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
            postings = post.refund(
                payment.merchant_id,
                attempt.channel,
                payment.currency,
                refund.amount_minor,
                refund.surcharge_minor,
            )
            postings += post.fee_returned(payment.merchant_id, payment.currency, refund.fee_returned_minor)
            settled = refund.settled(RefundStatus.SUCCEEDED)
            return Change(payment, "refund.succeeded.v1", postings, settled)
        case Declined(code=code) | NotProcessed(code=code):
            released = machine.refund_released(payment, refund.parts, at)
            return Change(released, "refund.failed.v1", (), refund.settled(RefundStatus.FAILED, code))
        case _:
            return Change(payment, None, (), refund, is_final=False)


def _lost(attempt: Attempt, payment: Payment, at: datetime) -> Change:
    """No answer that we understand. A held payment stays held while a capture or void is being found out about."""
    if attempt.operation is not Operation.AUTHORISE or payment.status is not Status.PROCESSING:
        return Change(payment, None, is_final=False)
    return Change(machine.answer_lost(payment, at), "payment.unknown.v1", is_final=False)


def _authorisation(attempt: Attempt, outcome: Outcome, payment: Payment, at: datetime) -> Change:
    where = (payment.merchant_id, attempt.channel, payment.currency)
    amounts = (payment.amount_minor, payment.surcharge_minor)
    match outcome:
        case Succeeded(is_captured=True):
            return Change(
                machine.captured_at_once(payment, at), "payment.captured.v1", post.sale(*where, *amounts)
            )
        case Succeeded():
            return Change(
                machine.authorised(payment, at), "payment.authorised.v1", post.hold(*where, *amounts)
            )
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
    amounts = (attempt.amount_minor, attempt.surcharge_minor)
    postings = post.capture_of_hold(*where, *amounts, _where_held(payment))
    is_final = attempt.operation is Operation.FINAL_CAPTURE
    if is_final and (rest := payment.capturable_minor - attempt.amount_minor):
        surcharge = payment.surcharge_left_minor - attempt.surcharge_minor
        postings += post.release_of_hold(*where, rest, surcharge, _where_held(payment))
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
    where = (payment.merchant_id, attempt.channel, payment.currency)
    amounts = (payment.capturable_minor, payment.surcharge_left_minor)
    released = post.release_of_hold(*where, *amounts, _where_held(payment))
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
