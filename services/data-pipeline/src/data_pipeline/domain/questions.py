"""A question to a report: which facts, in which time zone, split how. Checked once, here; then a plain value.

Buckets are computed with integers: a zone is a short list of offsets, each from a second on, so that no engine's
own idea of time zones or of a Monday can differ. Days of 23 and 25 hours come out right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from data_pipeline.domain.report_definition import BUCKET, Report, ReportName
from data_pipeline.domain.reports import REPORTS

EPOCH: Final = date(1970, 1, 1)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2999, 12, 31, tzinfo=UTC)
SPAN_MAX: Final = timedelta(days=5 * 366)
HOURS_MAX: Final = timedelta(days=62)  # about 1,500 buckets: more is no report but a data set
RULES_EVERY: Final = timedelta(days=7)  # no zone changes its offset twice within a week


class Grain(StrEnum):
    """Length of a bucket; `total` is the whole range in one."""

    TOTAL = "total"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LENGTHS: Final = {
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(days=7),
}
"""Of days and weeks by the wall clock: one may have an hour more or less. A month has no length."""


class BadQuestion(ValueError):
    """What is asked for cannot be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """Facts with their clock in [after, before), both aware. `zone` is an IANA name."""

    name: ReportName
    after: datetime
    before: datetime
    zone: str = "UTC"
    grain: Grain = Grain.TOTAL
    by: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Report:
        return REPORTS[self.name]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that split the rows, and their order."""
        bucket = () if self.grain is Grain.TOTAL else (BUCKET,)
        return (*bucket, *self.report.dimensions, *self.by)


def ask(
    name: ReportName,
    after: datetime,
    before: datetime,
    *,
    zone: str = "UTC",
    grain: Grain = Grain.TOTAL,
    by: Iterable[str] = (),
    filters: Mapping[str, str | None] | None = None,
) -> Question:
    """A question that can be answered; raises BadQuestion. `by` keeps the catalogue's order and forgets repeats."""
    report, given = REPORTS[name], {k: v for k, v in (filters or {}).items() if v is not None}
    if not (EARLIEST <= after < before <= LATEST and before - after <= SPAN_MAX):
        raise BadQuestion(
            "`from` must be before `to`, by at most five years, between the years 2000 and 2999."
        )
    if grain is Grain.HOUR and before - after > HOURS_MAX:
        raise BadQuestion(f"Hours are told of at most {HOURS_MAX.days} days.")
    if grain is not Grain.TOTAL and not report.has_grain:
        raise BadQuestion(f"{name} is a state at the end of the range: it has no grain.")
    if zone not in zones():
        raise BadQuestion("The time zone is none of the IANA's names, such as Europe/Berlin.")
    if unknown := set(by) - set(report.options):
        options = ", ".join(report.options) or "nothing"
        raise BadQuestion(f"{name} cannot be split by {', '.join(sorted(unknown))}, but by {options}.")
    if unknown := set(given) - set(report.filters):
        options = ", ".join(report.filters)
        raise BadQuestion(f"{name} cannot be filtered by {', '.join(sorted(unknown))}, but by {options}.")
    ordered = tuple(option for option in report.options if option in set(by))
    return Question(name, after.astimezone(UTC), before.astimezone(UTC), zone, grain, ordered, given)


@cache
def zones() -> frozenset[str]:
    """The names of time zones that this machine knows."""
    return frozenset(available_timezones())


def offsets(question: Question) -> list[tuple[datetime, int]]:
    """(from this moment on, seconds ahead of UTC), oldest first, over the range."""
    zone, at = ZoneInfo(question.zone), question.after
    found = [(at, _ahead(at, zone))]
    while at < question.before:
        later = min(at + RULES_EVERY, question.before)
        if (ahead := _ahead(later, zone)) != found[-1][1]:
            found.append((_change(at, later, zone), ahead))
        at = later
    return found


def micros_of(at: datetime) -> int:
    """Microseconds since 1970; whole, unlike `timestamp()`."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def month_starts(question: Question) -> list[datetime]:
    """The first moments of the months that the range touches, in UTC, oldest first."""
    zone = ZoneInfo(question.zone)
    month = question.after.astimezone(zone).date().replace(day=1)
    found: list[datetime] = []
    while not found or found[-1] < question.before:
        found.append(datetime.combine(month, time(), zone).astimezone(UTC))
        month = (month + timedelta(days=32)).replace(day=1)
    return found


def bucket_start(key: int, question: Question) -> datetime:
    """The bucket that the engine calls `key`, as its first moment in the zone of the question."""
    zone = ZoneInfo(question.zone)
    if question.grain in (Grain.HOUR, Grain.MONTH):  # by UTC: the hour that the autumn has twice stays two
        return datetime.fromtimestamp(key, UTC).astimezone(zone)
    local = datetime.combine(EPOCH + timedelta(seconds=key), time(), zone)
    return local.astimezone(UTC).astimezone(zone)  # where midnight is skipped, the day starts after it


def labelled(row: Mapping[str, Any], question: Question) -> dict[str, Any]:
    """The row with the start of its bucket as text with an offset, and plain integers."""
    named = {key: row[key] for key in question.keys}
    if BUCKET in named:
        named[BUCKET] = bucket_start(int(row[BUCKET]), question).isoformat()
    return named | {
        one.name: None if row[one.name] is None else int(row[one.name]) for one in question.report.measures
    }


def _ahead(at: datetime, zone: ZoneInfo) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second in (low, high] from which on the zone is ahead as it is at `high`."""
    wanted, first, last = _ahead(high, zone), int(low.timestamp()), int(high.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if _seconds_ahead(middle, zone) == wanted else (middle, last)
    return datetime.fromtimestamp(last, UTC)


def _seconds_ahead(second: int, zone: ZoneInfo) -> int:
    return _ahead(datetime.fromtimestamp(second, UTC), zone)
