"""Roll-ups as a sum of contributions: what one payment adds to its minute, hour and day, and to its latency bucket.

A changed payment moves the roll-up by (new contribution - old contribution). The sum therefore equals the
detail after every batch, whatever the batches were, and a payment whose decision or channel becomes known
later leaves the old row and enters the new one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from data_pipeline.domain.facts import PaymentFact

NOT_KNOWN: Final = "none"
"""Stands for a channel or decision that a payment does not have: a key column is never NULL."""
CLOSED_AFTER: Final = timedelta(days=35)
"""So long after its end a UTC day is closed: channels settle, and nearly all refunds come, within a month."""


class Grain(StrEnum):
    """Length of a bucket. Buckets start at UTC minutes, hours and days."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True, order=True)
class BucketKey:
    """A row of the roll-up: where payments created in that bucket are counted."""

    grain: Grain
    bucket_at: datetime
    currency: str
    method: str
    channel: str
    decision: str


@dataclass(frozen=True, slots=True, order=True)
class CorrectionKey:
    """A correction line: on which day it was booked, and which closed day's payments it is about."""

    booked_on: date
    corrects_on: date
    currency: str
    method: str
    channel: str
    decision: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What is counted. Amounts in minor units of the key's currency; each payment is counted once."""

    payment_count: int = 0
    approved_count: int = 0
    declined_count: int = 0
    amount_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0


_Key = tuple[Grain, datetime, str, str, str, str]
_MEASURES: Final = tuple(field.name for field in fields(Measures))

# Upper bounds in ms, each 1.25 times the one before: a percentile read from them is at most 25 % high.
LATENCY_BOUNDS_MS: Final = tuple(dict.fromkeys(round(4 * 1.25**n) for n in range(56)))


def bucket_start(at: datetime, grain: Grain) -> datetime:
    """The start of the UTC minute, hour or day that holds `at`."""
    start = at.astimezone(UTC).replace(second=0, microsecond=0)
    if grain is Grain.MINUTE:
        return start
    return start.replace(minute=0) if grain is Grain.HOUR else start.replace(hour=0, minute=0)


def contribution(payment: PaymentFact) -> dict[BucketKey, Measures]:
    """What one payment adds, by the bucket of its creation: one row of each grain."""
    measures = Measures(*_counted(payment))
    return {BucketKey(*key): measures for key in _keys(payment)}


def changes(pairs: Iterable[tuple[PaymentFact | None, PaymentFact]]) -> Mapping[BucketKey, Measures]:
    """By how much each bucket moves when payments go from old to new; unmoved ones are left out."""
    # Plain tuples and lists inside: this runs for every event, and objects would cost the consumer a tenth of its time.
    moved: defaultdict[_Key, list[int]] = defaultdict(lambda: [0] * len(_MEASURES))
    for old, new in pairs:
        for payment, sign in ((new, 1), (old, -1)):
            if payment is None:
                continue
            counted = _counted(payment)
            for key in _keys(payment):
                row = moved[key]
                for place, value in enumerate(counted):
                    row[place] += sign * value
    return {BucketKey(*key): Measures(*row) for key, row in sorted(moved.items()) if any(row)}


def closed_before(observed_on: date) -> datetime:
    """Payments created before then belong to days that are closed for events observed on this day."""
    return datetime.combine(observed_on, time(), UTC) - CLOSED_AFTER


def corrections(
    pairs: Iterable[tuple[PaymentFact | None, PaymentFact]], observed_on: date
) -> Mapping[CorrectionKey, Measures]:
    """The same differences for payments of closed days, as lines of the day on which they were observed."""
    return {
        CorrectionKey(
            observed_on, key.bucket_at.date(), key.currency, key.method, key.channel, key.decision
        ): measures
        for key, measures in changes(pairs).items()
        if key.grain is Grain.DAY
    }


def latency_changes(
    pairs: Iterable[tuple[PaymentFact | None, PaymentFact]],
) -> Mapping[tuple[datetime, int], int]:
    """By how many payments each (minute, bound in ms) moves; the time is from creation to outcome."""
    moved: Counter[tuple[datetime, int]] = Counter()
    for old, new in pairs:
        moved.update(_latency(new))
        if old is not None:
            moved.subtract(_latency(old))
    return {key: count for key, count in sorted(moved.items()) if count}


def latency_bound_ms(taken: timedelta) -> int:
    """The smallest bound that is not below `taken`; the last one also holds everything slower."""
    taken_ms = taken / timedelta(milliseconds=1)
    return next((bound for bound in LATENCY_BOUNDS_MS if taken_ms <= bound), LATENCY_BOUNDS_MS[-1])


def percentile_ms(counts: Mapping[int, int], share: float) -> int | None:
    """The bound under which `share` of the payments lie; None without payments."""
    wanted, seen = share * sum(counts.values()), 0
    for bound in sorted(counts):
        seen += counts[bound]
        if seen >= wanted:
            return bound if seen else None
    return None


def _latency(payment: PaymentFact) -> tuple[tuple[datetime, int], ...]:
    if payment.decided_at is None:
        return ()
    minute = bucket_start(payment.created_at, Grain.MINUTE)
    return ((minute, latency_bound_ms(payment.decided_at - payment.created_at)),)


def _counted(payment: PaymentFact) -> tuple[int, ...]:
    """What one payment adds to each of its rows, in the order of Measures."""
    return (
        1,
        int(payment.approved_at is not None),
        int(payment.status == "declined"),
        payment.amount_minor,
        payment.captured_minor,
        payment.refunded_minor,
    )


def _keys(payment: PaymentFact) -> Iterator[_Key]:
    """Its rows, one of each grain, in the order of BucketKey's fields."""
    rest = (payment.currency, payment.method, payment.channel or NOT_KNOWN, payment.decision or NOT_KNOWN)
    for grain in Grain:
        yield (grain, bucket_start(payment.created_at, grain), *rest)
