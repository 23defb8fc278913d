"""Reports whose hours add up: which they are, which hours of a question are whole, and hours as what was asked for.

Everything that such a report measures is a sum over facts of its range. So an hour that has not changed since it was
counted need not be counted again, and one count of hours answers every grain and every zone of whole hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from data_pipeline.domain.facts import Facts
from data_pipeline.domain.questions import Grain, Question, month_starts, offsets
from data_pipeline.domain.report_definition import BUCKET, ReportName

HOUR: Final = timedelta(hours=1)
ADDED_UP: Final = frozenset(
    {
        ReportName.VOLUME,
        ReportName.APPROVAL,
        ReportName.DECLINES,
        ReportName.FUNNEL,
        ReportName.RISK,
        ReportName.FEES,
        ReportName.SETTLEMENT,
    }
)
"""No percentiles, and nothing of a payment that is told by facts of other hours."""
SPAN_MAX: Final = timedelta(days=92)
RUNS_MAX: Final = 12
"""Stretches of hours that are counted, a statement each: of more, those with the smallest gaps are counted in one."""
BY_MERCHANT: Final = "merchant_id"
"""An hour may have thousands: such questions are counted whole, and of one merchant by its index."""
COUNTED_TABLES: Final = ("fact_payment", "fact_transfer", "fact_assessment")


@dataclass(frozen=True, slots=True, order=True)
class FactHour:
    """The facts of one table whose clock is within an hour that begins at this moment."""

    table: str
    hour_at: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """[after, before): whole hours, or a part of one at an end of the range."""

    after: datetime
    before: datetime

    @property
    def hours(self) -> Iterator[datetime]:
        """The whole hours in it."""
        return hours_within(self.after, self.before)


def adds_up(question: Question) -> bool:
    """Whether hours answer it: they are sums, and its buckets and its zone are made of whole hours."""
    return (
        question.name in ADDED_UP
        and question.before - question.after <= SPAN_MAX
        and BY_MERCHANT not in question.keys
        and BY_MERCHANT not in question.filters
        and all(ahead % 3600 == 0 for _, ahead in offsets(question))
    )


def by_hour(question: Question) -> Question:
    """What is counted for it: hours of UTC, split by what it filters by, too, so that one count serves every filter."""
    split = set(question.by) | (set(question.filters) - set(question.report.dimensions))
    return replace(
        question,
        zone="UTC",
        grain=Grain.HOUR,
        by=tuple(option for option in question.report.options if option in split),
        filters={},
    )


def whole_hours(question: Question) -> Stretch | None:
    """The whole hours of its range; None where it has none."""
    first = _floor(question.after + HOUR - timedelta(microseconds=1))
    last = _floor(question.before)
    return Stretch(first, last) if first < last else None


def ends(question: Question, whole: Stretch | None) -> list[Stretch]:
    """What is left of the range beside its whole hours."""
    if whole is None:
        return [Stretch(question.after, question.before)]
    both = (Stretch(question.after, whole.after), Stretch(whole.before, question.before))
    return [one for one in both if one.after < one.before]


def stretches(hours: Sequence[datetime], most: int = RUNS_MAX) -> list[Stretch]:
    """These hours, in ascending order, as at most so many stretches; the widest gaps between them stay out."""
    if not hours:
        return []
    gaps = [(after - before, before, after) for before, after in pairwise(hours) if after - before > HOUR]
    kept = sorted(sorted(gaps, reverse=True)[: most - 1], key=lambda gap: gap[1])
    starts = [hours[0], *(after for *_, after in kept)]
    stops = [*(before for _, before, _ in kept), hours[-1]]
    return [Stretch(start, stop + HOUR) for start, stop in zip(starts, stops, strict=True)]


def hours_within(after: datetime, before: datetime) -> Iterator[datetime]:
    """The starts of the whole hours in [after, before)."""
    at = _floor(after + HOUR - timedelta(microseconds=1))
    while at + HOUR <= before:
        yield at
        at += HOUR


def hour_of(row: Mapping[str, Any]) -> datetime:
    """Of a row that a question by hour was answered with."""
    return datetime.fromtimestamp(int(row[BUCKET]), UTC)


def added_up(question: Question, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of hours as the rows that answer the question, in the order of its keys."""
    keys, measures = question.keys, [one.name for one in question.report.measures]
    wanted = list(question.filters.items())
    bucket = BucketOf(question)
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        if any(row[name] != value for name, value in wanted):
            continue
        group = tuple(bucket(int(row[BUCKET])) if key == BUCKET else row[key] for key in keys)
        found = sums.setdefault(group, [0] * len(measures))
        for place, name in enumerate(measures):
            found[place] += int(row[name])
    if question.name is ReportName.DECLINES:  # what all reasons of a group come to is not told hour by hour
        _tell_all_declined(sums, keys.index("decline_code"), measures.index("all_declined_count"))
    if question.name is ReportName.FEES:  # its expression leaves out what nothing moved in
        sums = {group: found for group, found in sums.items() if any(found)}
    return [
        dict(zip((*keys, *measures), (*group, *found), strict=True)) for group, found in sorted(sums.items())
    ]


def changed_hours(facts: Iterable[Facts]) -> list[FactHour]:
    """The hours that these facts belong to, each once, in one order: they are locked like that by everybody."""
    found: set[FactHour] = set()
    for fact in facts:
        if fact.payment:
            found.add(FactHour("fact_payment", _floor(fact.payment.created_at)))
        if fact.assessment:
            found.add(FactHour("fact_assessment", _floor(fact.assessment.occurred_at)))
        found.update(FactHour("fact_transfer", _floor(one.occurred_at)) for one in fact.transfers)
    return sorted(found)


def _tell_all_declined(sums: dict[tuple[Any, ...], list[int]], code: int, place: int) -> None:
    """An hour in which a reason did not occur has no row that says how many declined for others."""
    of_group: Counter[tuple[Any, ...]] = Counter()
    for group, found in sums.items():
        of_group[group[:code] + group[code + 1 :]] += found[0]
    for group, found in sums.items():
        found[place] = of_group[group[:code] + group[code + 1 :]]


class BucketOf:
    """The bucket's key of an hour, as `store/report_columns.py` has it computed of a fact."""

    def __init__(self, question: Question) -> None:
        self.grain = question.grain
        steps = (
            [(int(start.timestamp()), int(start.timestamp())) for start in month_starts(question)]
            if self.grain is Grain.MONTH
            else [(int(start.timestamp()), ahead) for start, ahead in offsets(question)]
        )
        self.starts, self.numbers = [start for start, _ in steps], [number for _, number in steps]

    def __call__(self, hour: int) -> int:
        # An hour that only a part of is asked for began before the range did: the first step holds for it, too.
        number = self.numbers[max(0, bisect_right(self.starts, hour) - 1)]
        match self.grain:
            case Grain.MONTH:
                return number
            case Grain.HOUR:
                return hour
            case Grain.DAY:
                return hour + number - (hour + number) % 86_400
            case _:  # weeks: 1970-01-01 was a Thursday
                return hour + number - (hour + number + 3 * 86_400) % (7 * 86_400)


def _floor(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
