"""What may become a journal: one that takes another back, and one that counts for an earlier time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from payment_gateway.domain.ledger import Posting, PostingKind

BACKDATE_MAX = timedelta(days=366)


class AlreadyReversed(Exception):
    """The journal was taken back before, by the journal `by`."""

    def __init__(self, by: str) -> None:
        self.by = by
        super().__init__(f"reversed by {by}")


class NotReversible(Exception):
    """A journal that only sets aside or gives back moved nothing: void the hold instead."""


class EffectiveTimeRefused(Exception):
    """`effective_at` lies in the future, or further back than BACKDATE_MAX."""


def require_effective(effective_at: datetime | None, now: datetime) -> None:
    """Raises EffectiveTimeRefused."""
    if effective_at is not None and not now - BACKDATE_MAX <= effective_at <= now:
        raise EffectiveTimeRefused


def reversal_of(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """The same amounts the other way, last first. Raises NotReversible."""
    if not all(posting.kind in (PostingKind.POSTED, PostingKind.POST) for posting in postings):
        raise NotReversible
    return tuple(Posting(p.credit, p.debit, p.amount_minor) for p in reversed(postings))
