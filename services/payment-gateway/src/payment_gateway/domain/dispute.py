"""A dispute: a payer's bank takes a charge back unless the merchant shows why not. Its states are data.

It shares one remaining amount with the refunds: what is disputed cannot be refunded, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from payment_gateway.domain import postings
from payment_gateway.domain.fees import FeePlan
from payment_gateway.domain.ledger import Posting
from payment_gateway.domain.moves import moved
from payment_gateway.domain.payment import Payment
from platform_kit.clock import isoformat


class DisputeStatus(StrEnum):
    WARNING = "warning"  # an inquiry: no money moves
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


class DisputeEvent(StrEnum):
    ESCALATE = "escalate"  # the bank turns an inquiry into a dispute
    CLOSE = "close"
    SAVE = "save"  # evidence is kept, not sent
    SUBMIT = "submit"  # evidence is sent, once
    ACCEPT = "accept"  # the merchant gives in
    RUN_OUT = "run_out"  # no evidence by its due date
    WIN = "win"
    LOSE = "lose"


_S, _E = DisputeStatus, DisputeEvent

TRANSITIONS: Final[Mapping[tuple[DisputeStatus, DisputeEvent], DisputeStatus]] = MappingProxyType(
    {
        (_S.WARNING, _E.ESCALATE): _S.NEEDS_RESPONSE,
        (_S.WARNING, _E.CLOSE): _S.WARNING_CLOSED,
        (_S.WARNING, _E.SAVE): _S.WARNING,
        (_S.NEEDS_RESPONSE, _E.SAVE): _S.NEEDS_RESPONSE,
        (_S.NEEDS_RESPONSE, _E.SUBMIT): _S.UNDER_REVIEW,
        (_S.NEEDS_RESPONSE, _E.ACCEPT): _S.LOST,
        (_S.NEEDS_RESPONSE, _E.RUN_OUT): _S.LOST,
        (_S.NEEDS_RESPONSE, _E.WIN): _S.WON,
        (_S.NEEDS_RESPONSE, _E.LOSE): _S.LOST,
        (_S.UNDER_REVIEW, _E.WIN): _S.WON,
        (_S.UNDER_REVIEW, _E.LOSE): _S.LOST,
        (_S.LOST, _E.WIN): _S.WON,  # given up by us or the clock, while the bank had decided otherwise
    }
)
"""(from, event) -> to. docs/states.md is drawn from this table."""

GIVEN_UP: Final = frozenset({_E.ACCEPT, _E.RUN_OUT})
"""Ends that are ours: the bank's own word outweighs them."""

TOLD: Final = {_S.WON: "dispute.won.v1", _S.LOST: "dispute.lost.v1"}


@dataclass(frozen=True, slots=True)
class Dispute:
    """Amounts in minor units of the payment's currency. The channel's own name for it is part of `id`."""

    id: str
    payment_id: str
    merchant_id: str
    channel: str
    channel_reference: str
    amount_minor: int
    currency: str
    reason: str
    status: DisputeStatus
    evidence_due_at: datetime
    created_at: datetime
    updated_at: datetime
    reserved_minor: int = 0
    """What is set aside: less than `amount_minor` where refunds had already taken a part."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    closed_by: str | None = None
    """accept | run_out | win | lose | close, once it is over."""
    send_at: datetime | None = None
    """When the channel is told (again) what the merchant answered; None = nothing to tell."""
    fee_minor: int = 0
    """What it cost the merchant when it opened."""
    fee_returns: bool = False
    """Whether winning it gives that back: as the fee plan said when it opened."""


@dataclass(frozen=True, slots=True)
class DisputeChange:
    """The rows and postings after an event. `event` None = nothing worth telling."""

    dispute: Dispute
    payment: Payment
    postings: tuple[Posting, ...] = ()
    event: str | None = None


def is_news(dispute: Dispute, event: DisputeEvent) -> bool:
    """Whether a channel's report of `event` changes anything: it was not told before, nor overtaken."""
    if dispute.status is DisputeStatus.LOST and dispute.closed_by not in GIVEN_UP:
        return False
    return (dispute.status, event) in TRANSITIONS


def opened(dispute: Dispute, payment: Payment, at: datetime, plan: FeePlan | None = None) -> DisputeChange:
    """A channel reports a new dispute, which may cost a fee, or an inquiry, which costs nothing."""
    if dispute.status is DisputeStatus.WARNING:
        return DisputeChange(dispute, payment, event="dispute.opened.v1")
    return _reserved(dispute, payment, at, "dispute.opened.v1", plan)


def advanced(
    dispute: Dispute,
    payment: Payment,
    event: DisputeEvent,
    at: datetime,
    *,
    plan: FeePlan | None = None,
    **changes: Any,
) -> DisputeChange:
    """The dispute after `event`; `plan` says what an inquiry that becomes a dispute costs.

    Raises IllegalMove for a pair that is not in the table."""
    to = moved("dispute", TRANSITIONS, dispute.status, event)
    after = replace(dispute, status=to, updated_at=at, **changes)
    if to is DisputeStatus.NEEDS_RESPONSE and dispute.status is DisputeStatus.WARNING:
        return _reserved(after, payment, at, "dispute.updated.v1", plan)
    if to not in (DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_CLOSED):
        return DisputeChange(after, payment, event="dispute.updated.v1")
    after = replace(after, closed_by=str(event))
    if to is DisputeStatus.WARNING_CLOSED:
        return DisputeChange(after, payment, event="dispute.updated.v1")
    where = (dispute.merchant_id, dispute.currency)
    if to is DisputeStatus.LOST:  # what was set aside stays taken: it can never be refunded as well
        lines = postings.dispute_lost(where[0], dispute.channel, where[1], dispute.reserved_minor)
        return DisputeChange(after, payment, lines, TOLD[to])
    freed = _with_disputed(payment, -dispute.reserved_minor, at)
    lines = postings.dispute_won(*where, dispute.reserved_minor)
    if dispute.status is DisputeStatus.LOST:
        lines = (
            postings.dispute_reinstated(where[0], dispute.channel, where[1], dispute.reserved_minor) + lines
        )
    lines += postings.fee_returned(*where, fee_returned_minor(after))
    return DisputeChange(after, freed, lines, TOLD[to])


def fee_returned_minor(dispute: Dispute) -> int:
    """What the merchant has got back of the fee."""
    return dispute.fee_minor if dispute.fee_returns and dispute.status is DisputeStatus.WON else 0


def _reserved(
    dispute: Dispute, payment: Payment, at: datetime, event: str, plan: FeePlan | None
) -> DisputeChange:
    """Set the disputed sum aside, as far as refunds have left it, and charge the fee of the plan."""
    reserved = min(dispute.amount_minor, payment.refundable_minor)
    fee = plan.dispute_minor.get(dispute.currency, 0) if plan else 0
    returns = plan is not None and plan.dispute_returns_when_won
    after = replace(dispute, reserved_minor=reserved, fee_minor=fee, fee_returns=returns)
    lines = postings.dispute_opened(dispute.merchant_id, dispute.currency, reserved)
    lines += postings.dispute_fee(dispute.merchant_id, dispute.currency, fee)
    return DisputeChange(after, _with_disputed(payment, reserved, at), lines, event)


def _with_disputed(payment: Payment, more_minor: int, at: datetime) -> Payment:
    if not more_minor:
        return payment
    disputed = payment.disputed_minor + more_minor
    return replace(payment, disputed_minor=disputed, version=payment.version + 1, updated_at=at)


def step_key(dispute: Dispute) -> str:
    """Under which key a channel's file will have the step that the dispute has come to: agreed with the channels, so
    that what is booked before the channel reports it (a dispute given in, or run out) finds its line."""
    return f"{dispute.channel_reference}.{dispute.status}"


def dispute_object(dispute: Dispute) -> dict[str, Any]:
    """What a merchant sees of a dispute."""
    return {
        "id": dispute.id,
        "object": "dispute",
        "payment_id": dispute.payment_id,
        "status": dispute.status,
        "reason": dispute.reason,
        "amount_minor": dispute.amount_minor,
        "reserved_minor": dispute.reserved_minor,
        "fee_minor": dispute.fee_minor,
        "fee_returned_minor": fee_returned_minor(dispute),
        "currency": dispute.currency,
        "evidence": dispute.evidence,
        "evidence_due_at": isoformat(dispute.evidence_due_at),
        "closed_by": dispute.closed_by,
        "created_at": isoformat(dispute.created_at),
        "updated_at": isoformat(dispute.updated_at),
    }
