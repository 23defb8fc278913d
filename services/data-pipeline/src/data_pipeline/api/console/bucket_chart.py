"""A report over time as bars: one measure, every bucket of the range, gaps where nothing was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from data_pipeline.api.console.chart import PLOT_HEIGHT_PX, Tick, nice_ceiling
from data_pipeline.domain.questions import LENGTHS, Grain, Question, month_starts
from data_pipeline.domain.report_definition import BUCKET, Unit
from platform_kit.money import format_minor

BUCKETS_MAX: Final = 400  # narrower bars are no bars
LABELS_MAX: Final = 8
FORMS: Final = {Grain.HOUR: "%d %b %H:%M", Grain.DAY: "%d %b", Grain.WEEK: "%d %b", Grain.MONTH: "%b %Y"}


@dataclass(frozen=True, slots=True)
class BucketBar:
    """x and width in percent of the plot, y and height in pixels; `title` says it in words."""

    x: float
    width: float
    y: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BucketChart:
    measure: str
    unit: str
    bars: list[BucketBar]
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    height: int
    summary: str


def bucket_chart(question: Question, rows: Sequence[Mapping[str, Any]]) -> BucketChart | None:
    """None where bars would say nothing: one bucket, too many, or money of several currencies."""
    if question.grain is Grain.TOTAL or not rows:
        return None
    measure = question.report.measures[0]
    currencies = {row["currency"] for row in rows if "currency" in row}
    if measure.unit is Unit.MINOR and len(currencies) != 1:
        return None
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row[BUCKET]] += row[measure.name] or 0
    buckets = sorted({*_every(question), *sums}, key=datetime.fromisoformat)
    if not 2 <= len(buckets) <= BUCKETS_MAX:
        return None
    return _drawn(question, measure.name, buckets, sums, currencies if measure.unit is Unit.MINOR else set())


def label_of(bucket: str, grain: Grain) -> str:
    """A bucket as people write it."""
    return datetime.fromisoformat(bucket).strftime(FORMS.get(grain, "%d %b %Y"))


def _drawn(
    question: Question, name: str, buckets: list[str], sums: Counter[str], currencies: set[str]
) -> BucketChart:
    top = nice_ceiling(max(sums.values()))
    step = 100 / len(buckets)
    currency = next(iter(currencies), None)

    def told(value: int) -> str:
        return f"{format_minor(value, currency)} {currency}" if currency else f"{value:,}"

    def height(value: int) -> float:
        return round(PLOT_HEIGHT_PX * max(0, value) / top, 2)

    every = -(-len(buckets) // LABELS_MAX)
    return BucketChart(
        measure=name,
        unit=currency or "count",
        bars=[
            BucketBar(
                round(at * step + step * 0.12, 3),
                round(step * 0.76, 3),
                round(PLOT_HEIGHT_PX - height(sums[one]), 2),
                height(sums[one]),
                f"{label_of(one, question.grain)}: {told(sums[one])}",
            )
            for at, one in enumerate(buckets)
            if one in sums
        ],
        y_ticks=[
            Tick(round(PLOT_HEIGHT_PX * (1 - value / top), 2), short(value, currency))
            for value in sorted({0, top // 2, top})
        ],
        x_ticks=[
            Tick(round(at * step + step / 2, 3), label_of(one, question.grain))
            for at, one in enumerate(buckets)
            if at % every == 0
        ],
        height=PLOT_HEIGHT_PX,
        summary=f"{len(buckets)} buckets, together {told(sum(sums.values()))}, "
        f"at most {told(max(sums.values()))} in one",
    )


def short(value: int, currency: str | None) -> str:
    """An axis has no room for minor units."""
    whole = float(format_minor(value, currency).replace(",", "")) if currency else float(value)
    for unit, length in (("M", 1_000_000), ("k", 10_000)):
        if abs(whole) >= length:
            return f"{whole / (1_000_000 if unit == 'M' else 1000):,.0f}{unit}"
    return f"{whole:,.0f}"


def _every(question: Question) -> Iterator[str]:
    """The starts of all buckets of the range, as the rows write them."""
    zone = ZoneInfo(question.zone)
    if question.grain is Grain.MONTH:
        for start in month_starts(question):
            if start < question.before:
                yield start.astimezone(zone).isoformat()
        return
    if question.grain is Grain.HOUR:
        at = question.after.replace(minute=0, second=0, microsecond=0)
        while at < question.before:
            yield at.astimezone(zone).isoformat()
            at += LENGTHS[Grain.HOUR]
        return
    day = question.after.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if question.grain is Grain.WEEK:
        day -= timedelta(days=day.weekday())
    while (start := day.replace(tzinfo=zone)).astimezone(UTC) < question.before:
        yield (
            start.astimezone(UTC).astimezone(zone).isoformat()
        )  # where midnight is skipped, the day starts after it
        day += LENGTHS[question.grain]
