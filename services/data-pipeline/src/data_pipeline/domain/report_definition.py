"""What a definition of a report is made of: integers that an engine computes, shares of them, and columns.

Integers are counts or minor units, so two engines can be compared exactly; a ratio of nothing is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Unit(StrEnum):
    """What a number counts. `minor` is of the row's `currency`; a `share` lies between 0 and 1 unless it says more."""

    COUNT = "count"
    MINOR = "minor"
    MS = "ms"
    SHARE = "share"


class ReportName(StrEnum):
    """One report each, in the order of the documentation."""

    VOLUME = "volume"
    APPROVAL = "approval"
    DECLINES = "declines"
    FUNNEL = "funnel"
    CHANNELS = "channels"
    LATENCY = "latency"
    RISK = "risk"
    CHARGEBACKS = "chargebacks"
    FEES = "fees"
    SETTLEMENT = "settlement"
    BREAK_AGEING = "break-ageing"
    WEBHOOKS = "webhooks"
    CASES = "cases"
    CASE_AGEING = "case-ageing"


@dataclass(frozen=True, slots=True)
class Measure:
    """An integer that the engine computes."""

    name: str
    unit: Unit
    meaning: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A quotient of sums of measures of the same row."""

    name: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    meaning: str
    unit: Unit = Unit.SHARE

    @property
    def formula(self) -> str:
        """As people write it: `a / (b + c)`."""
        return " / ".join(
            names[0] if len(names) == 1 else f"({' + '.join(names)})" for names in (self.above, self.below)
        )

    def of(self, row: Mapping[str, Any]) -> float | None:
        """None when there is nothing to divide by."""
        below = sum(int(row[name]) for name in self.below)
        return sum(int(row[name]) for name in self.above) / below if below else None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer or a file. `type` is text, time, integer or number."""

    name: str
    type: str
    unit: Unit | None
    meaning: str
    formula: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report's definition.

    `dimensions` always split its rows, `options` do when asked for. `clock` names the time that puts a fact into the
    range and into a bucket; a report without `has_grain` is a state at the end of the range.
    """

    name: ReportName
    title: str
    meaning: str
    facts: str
    clock: str
    measures: tuple[Measure, ...]
    ratios: tuple[Ratio, ...] = ()
    dimensions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    has_grain: bool = True

    def columns(self, keys: tuple[str, ...]) -> tuple[Column, ...]:
        """The answer's columns when its rows are split by `keys`."""
        split = (Column(key, "time" if key == BUCKET else "text", None, DIMENSIONS[key]) for key in keys)
        counted = (Column(one.name, "integer", one.unit, one.meaning) for one in self.measures)
        divided = (Column(one.name, "number", one.unit, one.meaning, one.formula) for one in self.ratios)
        return (*split, *counted, *divided)


BUCKET: Final = "bucket"
DIMENSIONS: Final[Mapping[str, str]] = {
    BUCKET: "start of the hour, day, week (Monday) or month in the time zone asked for",
    "merchant_id": "the merchant; `none` for what belongs to no one merchant",
    "channel": "the channel; `none` for a payment that never reached one",
    "method": "the method's type",
    "currency": "ISO 4217",
    "decision": "what risk decided; `none` without an assessment",
    "score_band": "the risk score in bands of 20; `none` without one",
    "decline_code": "why; `none` where the channel gave no reason",
    "break_class": "the class of the break",
    "age_band": "how long it has been open at the end of the range",
    "endpoint_id": "the webhook endpoint",
    "event_type": "the type of the event that was sent",
    "answer": "how the endpoint answered: 2xx to 5xx, or why there was no answer",
    "priority": "how pressing the case is",
}


def with_ratios(report: Report, row: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's row and what its definition divides."""
    return dict(row) | {ratio.name: ratio.of(row) for ratio in report.ratios}


def half_even(mean_minor: float) -> int:
    """A mean amount as whole minor units; a half goes to the even neighbour, so that rounded means lean to no side."""
    return round(mean_minor)
