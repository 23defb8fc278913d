"""An attempt: one question to a channel under one key of ours, and what its answer means (payments.md 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final


class Operation(StrEnum):
    AUTHORISE = "authorise"
    CAPTURE = "capture"
    FINAL_CAPTURE = "final_capture"  # the channel gives up what is left of the hold in the same act
    VOID = "void"
    REFUND = "refund"
    EXPIRE = "expire"  # to a channel it is a void
    LATE_VOID = "late_void"  # of what a channel held after we had given up
    LATE_REFUND = "late_refund"  # of what it took
    RETURN = "return"  # never asked for: the channel took settled money back


@dataclass(frozen=True, slots=True)
class Attempt:
    """Written before the channel is called, so that whoever recovers knows whom to ask, and under which key."""

    id: str
    payment_id: str
    operation: Operation
    channel: str
    amount_minor: int
    currency: str
    sent_at: datetime
    original: str | None = None
    """Channel key of the authorisation that a capture, void or refund belongs to."""
    refund_id: str | None = None
    claim: tuple[str, str] | None = None
    """(scope, key) of the client's idempotency key that waits for this attempt's outcome."""
    surcharge_minor: int = 0
    """The part of `amount_minor` that is surcharge: the channel is not told, the ledger is."""

    @property
    def channel_key(self) -> str:
        """Our idempotency key at the channel: never changes for an attempt, whoever asks."""
        return self.id


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done, and the channel names it. `amount_minor` and `currency` are what it says it moved."""

    reference: str
    amount_minor: int
    currency: str
    is_captured: bool = False
    """Of an authorisation: whether the money is taken as well (a sale), or held."""


@dataclass(frozen=True, slots=True)
class Declined:
    """An explicit refusal: final."""

    code: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The payer must act; the channel reports later."""

    reference: str
    next_action: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotProcessed:
    """Provably not charged: refused before a byte was sent, or the channel says that it did nothing."""

    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else: a timeout, a reset, a body that we cannot read. Money may have moved."""

    code: str


Outcome = Succeeded | Declined | ActionRequired | NotProcessed | Unknown

REVERSALS: Final = frozenset({Operation.LATE_VOID, Operation.LATE_REFUND})

# Quick at first, then a long tail: every answer that a reachable channel can give is had within 60 s (P5).
RESOLVE_AFTER_S: Final = (1, 2, 4, 8, 15, 30, 60, 300, 1800, 3600)


def next_resolve_at(tries: int, now: datetime) -> datetime:
    """When to ask the channel again after `tries` questions without an answer."""
    return now + timedelta(seconds=RESOLVE_AFTER_S[min(tries, len(RESOLVE_AFTER_S) - 1)])


def checked(outcome: Outcome, attempt: Attempt) -> Outcome:
    """A success over another amount or currency than was asked for is not understood, hence UNKNOWN."""
    if isinstance(outcome, Succeeded) and (outcome.amount_minor, outcome.currency) != (
        attempt.amount_minor,
        attempt.currency,
    ):
        return Unknown("answer-differs-from-request")
    return outcome
