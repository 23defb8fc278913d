"""Geometry of the charts. Widths are percentages of the plot, heights pixels: text keeps its size on any screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

PLOT_HEIGHT_PX: Final = 180
LABEL_EVERY_MINUTES: Final = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute: three stacked parts from the bottom up, each (y, height) in pixels."""

    at: datetime
    x: float
    width: float
    approved: tuple[float, float]
    declined: tuple[float, float]
    other: tuple[float, float]
    count: int
    title: str

    @property
    def until(self) -> datetime:
        return self.at + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled line: `at` is pixels from the top for y, percent from the left for x."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment: x is percent of the plot."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class MinuteChart:
    bars: list[Bar]
    marks: list[Mark]
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    height: int
    total: int
    summary: str


def minute_chart(minutes: Sequence[dict[str, Any]], deploys: Sequence[Mapping[str, Any]] = ()) -> MinuteChart:
    """Payments per minute as stacked bars. Minutes without payments stay empty; deploys are marks."""
    top = nice_ceiling(max((row["payment_count"] for row in minutes), default=0))
    step = 100 / max(1, len(minutes))
    bars = [
        _bar(row, round(i * step + step * 0.12, 3), round(step * 0.76, 3), top)
        for i, row in enumerate(minutes)
        if row["payment_count"]
    ]
    total = sum(row["payment_count"] for row in minutes)
    return MinuteChart(
        bars=bars,
        marks=deploy_marks(deploys, minutes[0]["bucket_at"], timedelta(minutes=len(minutes)))
        if minutes
        else [],
        y_ticks=[Tick(_y(value, top), f"{value:,}") for value in sorted({0, top // 2, top})],
        x_ticks=[
            Tick(round(i * step + step / 2, 3), f"{row['bucket_at']:%H:%M}")
            for i, row in enumerate(minutes)
            if row["bucket_at"].minute % LABEL_EVERY_MINUTES == 0
        ],
        height=PLOT_HEIGHT_PX,
        total=total,
        summary=f"{total:,} payments in the last {len(minutes)} minutes, at most "
        f"{max((row['payment_count'] for row in minutes), default=0):,} in one minute",
    )


def deploy_marks(deploys: Sequence[Mapping[str, Any]], first: datetime, length: timedelta) -> list[Mark]:
    """Where in a plot of this length other versions of services began to answer."""
    return [
        Mark(
            round(100 * (one["seen_at"] - first) / length, 3),
            f"{one['seen_at']:%H:%M} {one['service']} {one['version']}, before it {one['before']}",
        )
        for one in deploys
        if first <= one["seen_at"] < first + length
    ]


SPARK_WIDTH: Final = 100
SPARK_HEIGHT: Final = 28


def spark_lines(values: Sequence[float | None]) -> list[str]:
    """Points of polylines in a box of SPARK_WIDTH by SPARK_HEIGHT: a slot without a value is a gap between two lines.
    The bottom is zero, the top the highest value."""
    known = [value for value in values if value is not None]
    if not known:
        return []
    top = max(known) or 1
    step = SPARK_WIDTH / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            y = 2 + (SPARK_HEIGHT - 4) * (1 - value / top)
            lines[-1].append(f"{place * step:.1f},{y:.1f}")
    # A line of one point is drawn as a dot, by its round ends.
    return [" ".join(line if len(line) > 1 else line * 2) for line in lines if line]


def nice_ceiling(value: int) -> int:
    """The smallest of 2, 4, 6, 8, 10, 20, 40, … that is not below `value`: its half is a whole number, too."""
    scale = 1
    while True:
        for factor in (2, 4, 6, 8, 10) if scale == 1 else (2, 3, 4, 5, 6, 8, 10):
            if value <= factor * scale:
                return factor * scale
        scale *= 10


def _y(value: float, top: int) -> float:
    return round(PLOT_HEIGHT_PX * (1 - value / top), 2)


def _bar(row: dict[str, Any], x: float, width: float, top: int) -> Bar:
    count, approved, declined = row["payment_count"], row["approved_count"], row["declined_count"]
    declined_to = approved + declined
    return Bar(
        at=row["bucket_at"],
        x=x,
        width=width,
        approved=(_y(approved, top), _height(approved, top)),
        declined=(_y(declined_to, top), _height(declined, top)),
        other=(_y(count, top), _height(max(0, count - declined_to), top)),
        count=count,
        title=f"{row['bucket_at']:%H:%M} UTC: {count:,} payments, {approved:,} approved, "
        f"{declined:,} declined, {max(0, count - declined_to):,} other",
    )


def _height(value: int, top: int) -> float:
    return round(PLOT_HEIGHT_PX * value / top, 2)
