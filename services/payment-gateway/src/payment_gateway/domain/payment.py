"""A payment: its states as data, its transitions as functions from one frozen value to the next.

Nothing here reads a clock, makes an id or talks to anybody; the store keeps what these functions return, and its
CHECK constraints say the same once more (payments.md 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from payment_gateway.domain.fees import returned_share
from payment_gateway.domain.surcharge import most_surcharge_minor, share_of


class Status(StrEnum):
    """Where a payment stands. Refund totals are columns, not states."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"  # created, and nothing to charge yet
    REQUIRES_CONFIRMATION = "requires_confirmation"  # complete: waits for the merchant's confirmation
    PROCESSING = "processing"  # the channel is being asked, or is about to be
    REQUIRES_ACTION = "requires_action"  # the payer must act: a 3DS challenge, a QR code to scan
    UNKNOWN = "unknown"  # asked, and no answer that we understand: the resolver finds out
    AUTHORISED = "authorised"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    DECLINED = "declined"  # refused by the channel or by risk; may be confirmed again, with another method
    FAILED = "failed"  # provably not charged, for a technical reason; may be confirmed again
    CANCELLED = "cancelled"  # given up before any money was held
    VOIDED = "voided"  # the hold was given up
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to a payment."""

    PREPARE = "prepare"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    AUTHORISE = "authorise"
    CAPTURE = "capture"
    CHALLENGE = "challenge"
    DECLINE = "decline"
    FAIL = "fail"
    LOSE_ANSWER = "lose_answer"
    VOID = "void"
    EXPIRE = "expire"
    REFUND = "refund"


_S = Status
_UNCONFIRMED: Final = (_S.REQUIRES_PAYMENT_METHOD, _S.REQUIRES_CONFIRMATION)
_REFUSED: Final = (_S.DECLINED, _S.FAILED)
_UNRESOLVED: Final = (_S.PROCESSING, _S.REQUIRES_ACTION, _S.UNKNOWN)
_HELD: Final = (_S.AUTHORISED, _S.PARTIALLY_CAPTURED)

TRANSITIONS: Final[Mapping[tuple[Status, Event], frozenset[Status]]] = MappingProxyType(
    {
        **{(s, Event.PREPARE): frozenset(_UNCONFIRMED) for s in _UNCONFIRMED},
        # A refused payment may be tried again, with another method: the payer is still there.
        **{(s, Event.CONFIRM): frozenset({_S.PROCESSING}) for s in (*_UNCONFIRMED, *_REFUSED)},
        **{
            (s, Event.CANCEL): frozenset({_S.CANCELLED})
            for s in (*_UNCONFIRMED, *_REFUSED, _S.REQUIRES_ACTION)
        },
        **{(s, Event.AUTHORISE): frozenset({_S.AUTHORISED}) for s in _UNRESOLVED},
        **{(s, Event.DECLINE): frozenset({_S.DECLINED}) for s in _UNRESOLVED},
        **{(s, Event.FAIL): frozenset({_S.FAILED}) for s in _UNRESOLVED},
        **{(s, Event.CHALLENGE): frozenset({_S.REQUIRES_ACTION}) for s in (_S.PROCESSING, _S.UNKNOWN)},
        **{(s, Event.LOSE_ANSWER): frozenset({_S.UNKNOWN}) for s in (_S.PROCESSING, _S.UNKNOWN)},
        # A sale captures without a hold of its own in between; a hold is captured in one or several parts.
        **{(s, Event.CAPTURE): frozenset({_S.CAPTURED}) for s in _UNRESOLVED},
        **{(s, Event.CAPTURE): frozenset({_S.PARTIALLY_CAPTURED, _S.CAPTURED}) for s in _HELD},
        (_S.AUTHORISED, Event.VOID): frozenset({_S.VOIDED}),
        (_S.PARTIALLY_CAPTURED, Event.VOID): frozenset({_S.CAPTURED}),  # gives up the rest of the hold
        (_S.AUTHORISED, Event.EXPIRE): frozenset({_S.EXPIRED}),
        (_S.PARTIALLY_CAPTURED, Event.EXPIRE): frozenset({_S.CAPTURED}),
        (_S.REQUIRES_ACTION, Event.EXPIRE): frozenset({_S.EXPIRED}),
        (_S.PARTIALLY_CAPTURED, Event.REFUND): frozenset({_S.PARTIALLY_CAPTURED}),
        (_S.CAPTURED, Event.REFUND): frozenset({_S.CAPTURED}),
    }
)
"""(from, event) -> the states that it may lead to. The diagram in the docs is generated from this table."""

FINAL: Final = frozenset({_S.CANCELLED, _S.VOIDED, _S.EXPIRED})


class IllegalTransition(Exception):
    """The payment is in a state that does not admit this act; `allowed` are the acts that it does admit."""

    def __init__(self, status: Status, event: Event) -> None:
        self.status, self.event, self.allowed = status, event, allowed_events(status)
        super().__init__(f"a payment that is {status} cannot {event}")


class AmountExceedsRemaining(Exception):
    """More was asked than remains; `remaining_minor` is what could be had, `taken` what has the rest, in minor units by
    the payment's members."""

    def __init__(self, remaining_minor: int, **taken: int) -> None:
        self.remaining_minor, self.taken = remaining_minor, taken
        super().__init__(f"at most {remaining_minor} remains")


class OperationInProgress(Exception):
    """The channel is being asked about this payment; nothing else may move its hold meanwhile."""


class RefundParts(NamedTuple):
    """What a refund reserves of its payment, in minor units."""

    amount_minor: int
    fee_returned_minor: int = 0
    surcharge_minor: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """The whole state of a payment. Amounts in minor units of `currency`."""

    id: str
    merchant_id: str
    amount_minor: int
    currency: str
    capture: str  # automatic | manual
    method: Mapping[str, Any] | None
    channel: str | None
    status: Status
    created_at: datetime
    updated_at: datetime
    version: int = 1
    authorised_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0  # succeeded and pending refunds: what is asked for is reserved
    disputed_minor: int = 0  # reserved or taken by disputes: shares what was captured with the refunds
    open_attempt_id: str | None = None
    authorised_by: str | None = None
    """The attempt that the channel authorised: what captures, voids and refunds belong to."""
    fee_minor: int = 0
    """What the captures cost their merchant."""
    fee_returned_minor: int = 0
    """What succeeded and pending refunds give back of it."""
    surcharge_minor: int = 0
    """The part of `amount_minor` that the payer pays on top of the price."""
    surcharge_refunded_minor: int = 0
    """What succeeded and pending refunds are of it."""
    decline_code: str | None = None
    next_action: Mapping[str, Any] | None = None
    risk: Mapping[str, Any] | None = None
    reference: str | None = None
    description: str | None = None
    statement_descriptor: str | None = None
    customer: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def capturable_minor(self) -> int:
        """What is held and not captured."""
        return self.authorised_minor - self.captured_minor if self.status in _HELD else 0

    def surcharge_in(self, part_minor: int) -> int:
        """How much of the surcharge is in the first `part_minor` of what is held and captured."""
        return share_of(self.surcharge_minor, part_minor, self.amount_minor)

    @property
    def surcharge_left_minor(self) -> int:
        """The part of `capturable_minor` that is surcharge."""
        return self.surcharge_minor - self.surcharge_in(self.captured_minor) if self.capturable_minor else 0

    @property
    def refundable_minor(self) -> int:
        """What is captured and neither refunded, being refunded nor disputed."""
        return self.captured_minor - self.refunded_minor - self.disputed_minor


def allowed_events(status: Status) -> list[str]:
    """The acts that a payment of this status admits, for the refusal's `allowed` member."""
    return sorted({str(event) for state, event in TRANSITIONS if state is status})


def merchant_acts(status: Status) -> list[str]:
    """What a merchant may ask for in this state: the `allowed` member of a refusal."""
    acts = {
        Event.CONFIRM: (*_UNCONFIRMED, *_REFUSED),
        Event.CANCEL: (*_UNCONFIRMED, *_REFUSED, _S.REQUIRES_ACTION, *_HELD),
        Event.CAPTURE: _HELD,
        Event.VOID: _HELD,
        Event.REFUND: (_S.PARTIALLY_CAPTURED, _S.CAPTURED),
    }
    return sorted(str(act) for act, states in acts.items() if status in states)


def advance(payment: Payment, event: Event, to: Status, at: datetime, **changes: Any) -> Payment:
    """The payment after `event`; raises IllegalTransition for a pair that is not in the table."""
    if to not in TRANSITIONS.get((payment.status, event), frozenset()):
        raise IllegalTransition(payment.status, event)
    return replace(payment, status=to, version=payment.version + 1, updated_at=at, **changes)


def prepared(payment: Payment, at: datetime, **changes: Any) -> Payment:
    """Details of a payment that is not confirmed yet.

    Raises IllegalTransition once it is, AmountExceedsRemaining for an amount that its surcharge is too high for."""
    method = changes.get("method", payment.method)
    to = Status.REQUIRES_CONFIRMATION if method else Status.REQUIRES_PAYMENT_METHOD
    after = advance(payment, Event.PREPARE, to, at, **changes)
    if after.surcharge_minor > (most := most_surcharge_minor(after.amount_minor)):
        raise AmountExceedsRemaining(most)
    return after


def annotated(payment: Payment, at: datetime, **changes: Any) -> Payment:
    """Words about a payment, which may change in any state: description, reference, metadata."""
    return replace(payment, version=payment.version + 1, updated_at=at, **changes)


def confirmed(payment: Payment, at: datetime, **changes: Any) -> Payment:
    """The merchant wants it charged, now with this method and route."""
    return advance(
        payment, Event.CONFIRM, Status.PROCESSING, at, decline_code=None, next_action=None, **changes
    )


def cancelled(payment: Payment, at: datetime) -> Payment:
    """Given up before any money was held."""
    return advance(payment, Event.CANCEL, Status.CANCELLED, at, open_attempt_id=None, next_action=None)


def open_attempt(payment: Payment, attempt_id: str, at: datetime, **changes: Any) -> Payment:
    """Mark that the channel is about to be asked; at most one such question is open per payment."""
    if payment.open_attempt_id is not None:
        raise OperationInProgress()
    return replace(payment, open_attempt_id=attempt_id, version=payment.version + 1, updated_at=at, **changes)


def replace_attempt(payment: Payment, attempt_id: str, at: datetime, *, asked: str | None) -> Payment:
    """Ask the channel to give up an action that the payer has not taken: the open question is now whether it did.

    `asked` is the authorisation's attempt. Raises OperationInProgress when it is no longer the open one: somebody is
    giving the action up already, and a second request would be about the first one, which no channel understands.
    """
    if payment.open_attempt_id != asked:
        raise OperationInProgress()
    return replace(payment, open_attempt_id=attempt_id, version=payment.version + 1, updated_at=at)


def authorised(payment: Payment, at: datetime) -> Payment:
    """The channel holds the amount."""
    return advance(
        payment, Event.AUTHORISE, Status.AUTHORISED, at, authorised_minor=payment.amount_minor,
        authorised_by=payment.open_attempt_id, open_attempt_id=None, next_action=None,
    )  # fmt: skip


def captured_at_once(payment: Payment, at: datetime) -> Payment:
    """A sale: authorised and captured by one answer of the channel."""
    return advance(
        payment, Event.CAPTURE, Status.CAPTURED, at, authorised_minor=payment.amount_minor,
        captured_minor=payment.amount_minor, authorised_by=payment.open_attempt_id, open_attempt_id=None,
        next_action=None,
    )  # fmt: skip


def check_capture(payment: Payment, amount_minor: int | None) -> int:
    """The amount to capture (the rest of the hold when None). Raises IllegalTransition or AmountExceedsRemaining."""
    if (payment.status, Event.CAPTURE) not in TRANSITIONS or payment.status not in _HELD:
        raise IllegalTransition(payment.status, Event.CAPTURE)
    wanted = payment.capturable_minor if amount_minor is None else amount_minor
    if not 0 < wanted <= payment.capturable_minor:
        raise AmountExceedsRemaining(payment.capturable_minor)
    return wanted


def captured(payment: Payment, amount_minor: int, at: datetime, *, is_final: bool = False) -> Payment:
    """A part of the hold, or all that is left of it, is captured; a final part gives up the rest."""
    total = payment.captured_minor + amount_minor
    if total > payment.authorised_minor:
        raise AmountExceedsRemaining(payment.capturable_minor)
    to = Status.CAPTURED if is_final or total == payment.authorised_minor else Status.PARTIALLY_CAPTURED
    return advance(payment, Event.CAPTURE, to, at, captured_minor=total, open_attempt_id=None)


def voided(payment: Payment, at: datetime, event: Event = Event.VOID) -> Payment:
    """The rest of the hold is given up (event VOID) or has run out (event EXPIRE, also of an action not taken)."""
    if payment.status is Status.PARTIALLY_CAPTURED:
        to = Status.CAPTURED
    else:
        to = Status.VOIDED if event is Event.VOID else Status.EXPIRED
    return advance(payment, event, to, at, open_attempt_id=None, next_action=None)


def declined(payment: Payment, code: str, at: datetime, **changes: Any) -> Payment:
    """The channel or the risk engine refused: a result and not an error."""
    return advance(
        payment, Event.DECLINE, Status.DECLINED, at, decline_code=code, open_attempt_id=None,
        next_action=None, **changes,
    )  # fmt: skip


def failed(payment: Payment, code: str, at: datetime) -> Payment:
    """Provably not charged."""
    return advance(
        payment, Event.FAIL, Status.FAILED, at, decline_code=code, open_attempt_id=None, next_action=None
    )


def challenged(payment: Payment, next_action: Mapping[str, Any], at: datetime) -> Payment:
    """The payer must act; the attempt stays open until the channel reports."""
    return advance(payment, Event.CHALLENGE, Status.REQUIRES_ACTION, at, next_action=next_action)


def answer_lost(payment: Payment, at: datetime) -> Payment:
    """No answer that we understand to an authorisation: never failed, the resolver asks again."""
    if payment.status is Status.UNKNOWN:
        return payment
    return advance(payment, Event.LOSE_ANSWER, Status.UNKNOWN, at)


def attempt_closed(payment: Payment, at: datetime, reopened: str | None = None) -> Payment:
    """A capture or void that the channel refused: the payment stays as it was and may be acted on again. `reopened` is
    the question that is open again: the authorisation whose payer has still to act."""
    return replace(payment, open_attempt_id=reopened, version=payment.version + 1, updated_at=at)


def refund_reserved(
    payment: Payment, amount_minor: int | None, at: datetime, *, returns_fee: bool = False
) -> tuple[Payment, RefundParts]:
    """Reserve a refund (all that remains when None), and with `returns_fee` its share of the fee.

    Raises IllegalTransition or AmountExceedsRemaining."""
    if (payment.status, Event.REFUND) not in TRANSITIONS:
        raise IllegalTransition(payment.status, Event.REFUND)
    wanted = payment.refundable_minor if amount_minor is None else amount_minor
    if not 0 < wanted <= payment.refundable_minor:
        raise AmountExceedsRemaining(
            payment.refundable_minor,
            refunded_minor=payment.refunded_minor,
            disputed_minor=payment.disputed_minor,
        )
    refunded = payment.refunded_minor + wanted
    fee = 0
    if returns_fee:
        fee = returned_share(payment.fee_minor, payment.fee_returned_minor, refunded, payment.captured_minor)
        fee = min(fee, wanted)
    surcharge = returned_share(
        payment.surcharge_in(payment.captured_minor),
        payment.surcharge_refunded_minor,
        refunded,
        payment.captured_minor,
    )
    surcharge = min(surcharge, wanted)
    after = advance(
        payment, Event.REFUND, payment.status, at, refunded_minor=refunded,
        fee_returned_minor=payment.fee_returned_minor + fee,
        surcharge_refunded_minor=payment.surcharge_refunded_minor + surcharge,
    )  # fmt: skip
    return after, RefundParts(wanted, fee, surcharge)


def refund_released(payment: Payment, parts: RefundParts, at: datetime) -> Payment:
    """A refund that the channel refused gives back what was reserved for it."""
    return advance(
        payment, Event.REFUND, payment.status, at,
        refunded_minor=payment.refunded_minor - parts.amount_minor,
        fee_returned_minor=payment.fee_returned_minor - parts.fee_returned_minor,
        surcharge_refunded_minor=payment.surcharge_refunded_minor - parts.surcharge_minor,
    )  # fmt: skip
