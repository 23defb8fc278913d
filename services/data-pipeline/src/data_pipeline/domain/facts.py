"""Fact rows: the newest state of payments, refunds, disputes, payouts, reserves and cases; every transfer, assessment,
attempt to send a webhook, and version of a merchant.

An event carries the whole state of its payment, so a later one supersedes an earlier one in whatever order
they arrive; transfers are additive and named by (journal, line), so order does not matter for them either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from data_pipeline.domain.events import Envelope

APPROVED: Final = frozenset({"authorised", "partially_captured", "captured"})
UNDECIDED: Final = frozenset(
    {"requires_payment_method", "requires_confirmation", "processing", "requires_action", "unknown"}
)
STATUSES: Final = APPROVED | UNDECIDED | {"declined", "failed", "cancelled", "voided", "expired"}
DECISIONS: Final = frozenset({"allow", "challenge", "review", "block"})
REFUND_STATUSES: Final = frozenset({"pending", "succeeded", "failed"})
DISPUTE_STATUSES: Final = frozenset(
    {"warning", "warning_closed", "needs_response", "under_review", "won", "lost"}
)
DISPUTE_DECIDED: Final = frozenset({"warning_closed", "won", "lost"})
PAYOUT_STATUSES: Final = frozenset({"pending", "in_transit", "paid", "failed", "returned", "cancelled"})
PAYOUT_DECIDED: Final = frozenset({"paid", "failed", "returned", "cancelled"})
TRANSFER_KINDS: Final = frozenset({"posted", "pending", "post", "release", "void"})
ATTEMPT_OUTCOMES: Final = {"delivered": "delivered", "due": "retried", "dead": "given_up"}
"""What an attempt to send a webhook left of its delivery -> what the attempt came to."""
PRIORITIES: Final = frozenset({"low", "medium", "high", "urgent"})
CASE_STATUSES: Final = frozenset({"open", "approved", "rejected", "ended"})
MOVES_MONEY: Final = frozenset({"posted", "post"})  # pending places a hold, release (void) ends one


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """The state of a payment as of `position`. `approved_at` and `decided_at` are the first such times."""

    payment_id: str
    merchant_id: str
    status: str
    amount_minor: int
    currency: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    method: str
    channel: str | None
    reference: str | None
    decline_code: str | None
    decision: str | None
    score: int | None
    is_fallback: bool | None
    assessment_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None
    decided_at: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class RefundFact:
    refund_id: str
    payment_id: str
    amount_minor: int
    currency: str
    status: str
    reason: str | None
    created_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class DisputeFact:
    """The state of a dispute as of `position`; `reserved_minor` is set aside for it.

    `decided_at` is the first decision: what a dispute proves about its payment is known only then.
    """

    dispute_id: str
    payment_id: str
    merchant_id: str
    channel: str | None
    status: str
    reason: str
    amount_minor: int
    reserved_minor: int
    fee_minor: int
    fee_returned_minor: int
    currency: str
    closed_by: str | None
    evidence_due_at: datetime
    created_at: datetime
    updated_at: datetime
    decided_at: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class PayoutFact:
    """The state of a payout to a merchant as of `position`. `decided_at` is the bank's first word, or its end."""

    payout_id: str
    merchant_id: str
    status: str
    amount_minor: int
    currency: str
    destination: str
    slot: str | None
    failure_code: str | None
    created_at: datetime
    updated_at: datetime
    decided_at: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class ReserveFact:
    """A share of a settlement that is kept back until `release_at`."""

    reserve_id: str
    merchant_id: str
    amount_minor: int
    currency: str
    created_at: datetime
    release_at: datetime
    decided_at: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class TransferFact:
    """One movement of a journal, debit to credit. `settled_*` are set where money moved at a channel."""

    journal_id: str
    line: int
    event_id: str
    position: int
    occurred_at: datetime
    aggregate_id: str
    merchant_id: str | None
    debit: str
    credit: str
    amount_minor: int
    currency: str
    kind: str
    settled_channel: str | None
    settled_type: str | None
    channel_reference: str | None
    channel_key: str | None


@dataclass(frozen=True, slots=True)
class AssessmentFact:
    assessment_id: str
    merchant_id: str | None
    payment_id: str | None
    decision: str
    score: int
    reasons: tuple[Mapping[str, Any], ...]
    rule_set: str | None
    model: str | None
    degraded: tuple[str, ...]
    occurred_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class MerchantVersion:
    """A merchant and its terms as they were told at `position`. From when until when that was so is known only beside
    the other versions: `store/merchants.py`. `mcc` is ISO 18245; `fee_plan` as the gateway keeps it."""

    merchant_id: str
    position: int
    name: str
    country: str
    mcc: str | None
    api_version: str
    is_disabled: bool
    settlement_delay_days: int
    settlement_currency: str | None
    fee_plan: Mapping[str, Any] | None
    reserve_basis_points: int | None
    reserve_days: int | None
    told_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookAttemptFact:
    """One attempt to send one event to one endpoint, the `line`-th of those that `told_by` tells of. `waited_ms` is
    from the event to its first attempt, None for later ones; `error` says why there was no `status_code`."""

    told_by: str
    line: int
    delivery_id: str
    endpoint_id: str
    merchant_id: str
    event_id: str
    event_type: str
    cycle: int
    number: int
    outcome: str
    status_code: int | None
    error: str | None
    duration_ms: int
    waited_ms: int | None
    ended_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class CaseFact:
    """The state of a case of the review queue as of `position`. `decided_at` is when it left the queue: by a person's
    verdict, or `ended` because nothing was left to decide. `had_proposal`: it took two people."""

    case_id: str
    merchant_id: str
    priority: str
    payment_count: int
    status: str
    had_proposal: bool
    opened_at: datetime
    due_at: datetime
    decided_at: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What one event says."""

    envelope: Envelope
    payment: PaymentFact | None = None
    refund: RefundFact | None = None
    transfers: tuple[TransferFact, ...] = ()
    assessment: AssessmentFact | None = None
    dispute: DisputeFact | None = None
    payout: PayoutFact | None = None
    reserve: ReserveFact | None = None
    merchant: MerchantVersion | None = None
    attempts: tuple[WebhookAttemptFact, ...] = ()
    case: CaseFact | None = None


Decided = TypeVar("Decided", DisputeFact, PayoutFact, ReserveFact, CaseFact)


def superseded(facts: Iterable[Decided]) -> list[Decided]:
    """What several facts of one kind say together: the newest state of each object, with its first `decided_at`."""
    newest: dict[str, Decided] = {}
    for fact in sorted(facts, key=lambda fact: fact.position):
        key = _object_id(fact)
        earlier = newest.get(key)
        newest[key] = (
            replace(fact, decided_at=_first(earlier.decided_at, fact.decided_at)) if earlier else fact
        )
    return list(newest.values())


def _object_id(fact: DisputeFact | PayoutFact | ReserveFact | CaseFact) -> str:
    match fact:
        case DisputeFact():
            return fact.dispute_id
        case PayoutFact():
            return fact.payout_id
        case ReserveFact():
            return fact.reserve_id
        case CaseFact():
            return fact.case_id


def supersede(old: PaymentFact | None, new: PaymentFact) -> PaymentFact:
    """The state after both, in whichever order they came; first times are kept."""
    if old is None:
        return new
    earlier, later = (old, new) if old.position <= new.position else (new, old)
    return replace(
        later,
        approved_at=_first(earlier.approved_at, later.approved_at),
        decided_at=_first(earlier.decided_at, later.decided_at),
    )


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier time that is known: by time, for an event may come after later ones were merged already."""
    return min(one, other) if one and other else one or other


def channel_of(account: str) -> str | None:
    """`channel:card_sim:receivable` -> `card_sim`; None for accounts that are not a channel's receivable."""
    owner, _, rest = account.partition(":")
    name, _, kind = rest.rpartition(":")
    return name if owner == "channel" and kind == "receivable" and name else None
