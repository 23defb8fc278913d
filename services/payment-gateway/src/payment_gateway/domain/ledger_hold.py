"""A hold of the ledger: an amount set aside until it is posted (in parts), given back, or too old."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from payment_gateway.domain.ledger import AccountName, Posting, PostingKind
from payment_gateway.domain.payment import AmountExceedsRemaining


class HoldState(StrEnum):
    PENDING = "pending"  # something remains
    POSTED = "posted"  # everything was posted
    VOIDED = "voided"  # the rest was given back by its owner
    EXPIRED = "expired"  # the rest was given back because its time was over


class HoldClosed(Exception):
    """The hold does not admit this any more (or, for an expiry, not yet)."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"the hold is {state}")


@dataclass(frozen=True, slots=True)
class Hold:
    """`amount_minor` > 0 set aside from `debit` to `credit`; None for `expires_at` = it stays until it is settled."""

    id: str
    debit: AccountName
    credit: AccountName
    amount_minor: int
    expires_at: datetime | None
    posted_minor: int = 0
    released_minor: int = 0
    state: HoldState = HoldState.PENDING

    @property
    def remaining_minor(self) -> int:
        return self.amount_minor - self.posted_minor - self.released_minor

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def placed(hold: Hold) -> Posting:
    """The posting that sets the amount aside."""
    return Posting(hold.debit, hold.credit, hold.amount_minor, PostingKind.PENDING)


def post(hold: Hold, amount_minor: int | None, now: datetime) -> tuple[Hold, Posting]:
    """Move a part (None: the rest). Raises HoldClosed or AmountExceedsRemaining.

    A hold whose time is over is closed even before the expiry job has been there: the database's time decides.
    """
    _require_pending(hold)
    if hold.is_over(now):
        raise HoldClosed(HoldState.EXPIRED)
    wanted = hold.remaining_minor if amount_minor is None else amount_minor
    if wanted > hold.remaining_minor:
        raise AmountExceedsRemaining(hold.remaining_minor)
    state = HoldState.POSTED if wanted == hold.remaining_minor else HoldState.PENDING
    after = replace(hold, posted_minor=hold.posted_minor + wanted, state=state)
    return after, Posting(hold.debit, hold.credit, wanted, PostingKind.POST)


def void(hold: Hold) -> tuple[Hold, Posting]:
    """Give the rest back. Raises HoldClosed."""
    _require_pending(hold)
    return _released(hold, HoldState.VOIDED)


def expire(hold: Hold, now: datetime) -> tuple[Hold, Posting]:
    """Give the rest back because its time is over. Raises HoldClosed if it is settled, or still has time."""
    _require_pending(hold)
    if not hold.is_over(now):
        raise HoldClosed(hold.state)
    return _released(hold, HoldState.EXPIRED)


def _require_pending(hold: Hold) -> None:
    if hold.state is not HoldState.PENDING:
        raise HoldClosed(hold.state)


def _released(hold: Hold, state: HoldState) -> tuple[Hold, Posting]:
    rest = hold.remaining_minor
    after = replace(hold, released_minor=hold.released_minor + rest, state=state)
    return after, Posting(hold.debit, hold.credit, rest, PostingKind.RELEASE)
