"""Plots of a backtest: what stopping every payment from a score on would have done, and what each rule hit.

The engine adds up (`report.curve`, `report.rules`); here are only places on a plot. X is the score, 0 to 100, which is
also the percentage of the plot's width; y is pixels from the top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.api.console.bucket_chart import short
from data_pipeline.api.console.chart import Tick, nice_ceiling
from data_pipeline.api.console.render import percent
from platform_kit.money import format_minor

HEIGHT_PX: Final = 160
X_TICKS: Final = [Tick(at, str(at)) for at in range(0, 101, 20)]
SHARES: Final = {"precision": "precision", "recall": "recall", "good_stopped": "good customers stopped"}


@dataclass(frozen=True, slots=True)
class Line:
    """`name` is in the legend, `kind` is the class of both; `runs` are points of polylines, with a gap where nothing
    is known; `band` is the polygon of its 95 % interval."""

    name: str
    kind: str
    runs: list[str]
    band: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """A score under the pointer, in words."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    lines: list[Line]
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    zero: float
    height: int
    spots: list[Spot]
    summary: str


@dataclass(frozen=True, slots=True)
class RuleBar:
    """Hits of one rule as parts of the longest bar, in percent: what became known of them."""

    rule: str
    hits: int
    fraud: float
    legitimate: float
    unknown: float
    title: str


def share_plot(curve: Mapping[str, Any]) -> Plot:
    """Precision, recall and the share of good customers stopped, by the score from which payments are stopped."""
    points = curve["points"]

    def y(share: float) -> float:
        return round(HEIGHT_PX * (1 - share), 1)

    return Plot(
        [Line(name, kind, _runs(points, kind, y), _band(points, kind, y)) for kind, name in SHARES.items()],
        [Tick(y(share), f"{share:.0%}") for share in (0.0, 0.5, 1.0)],
        X_TICKS,
        y(0),
        HEIGHT_PX,
        [
            Spot(point["score_from"], f"from score {point['score_from']}: {_shares(point)}")
            for point in points
        ],
        f"By the score from which payments are stopped, {_ends(points, _shares)}",
    )


def money_plot(curve: Mapping[str, Any], currency: str) -> Plot:
    """Money saved against what was decided, by the score from which payments are stopped."""
    points = curve["points"]
    saved = [point["money_saved_minor"] for point in points]
    top = nice_ceiling(max(0, *saved))
    bottom = -nice_ceiling(-lowest) if (lowest := min(0, *saved)) < 0 else 0

    def y(minor: float) -> float:
        return round(HEIGHT_PX * (top - minor) / (top - bottom), 1)

    def told(point: Mapping[str, Any]) -> str:
        return f"{format_minor(point['money_saved_minor'], currency)} {currency} saved"

    run = " ".join(f"{point['score_from']},{y(point['money_saved_minor'])}" for point in points)
    return Plot(
        [Line("money saved", "saved", [run])],
        [Tick(y(minor), short(minor, currency)) for minor in sorted({bottom, 0, top})],
        X_TICKS,
        y(0),
        HEIGHT_PX,
        [Spot(point["score_from"], f"from score {point['score_from']}: {told(point)}") for point in points],
        f"By the score from which payments are stopped, {_ends(points, told)}",
    )


def rule_bars(rules: Mapping[str, Mapping[str, Any]]) -> list[RuleBar]:
    """Those that hit something, the most hits first."""
    most = max((one["hits"] for one in rules.values()), default=0)
    return [
        _bar(rule, one["hits"], one["fraud"], one["legitimate"], most)
        for rule, one in sorted(rules.items(), key=lambda item: (-item[1]["hits"], item[0]))
        if one["hits"]
    ]


def _bar(rule: str, hits: int, fraud: int, legitimate: int, most: int) -> RuleBar:
    unknown = hits - fraud - legitimate
    bad, good, other = (round(100 * part / most, 2) for part in (fraud, legitimate, unknown))
    title = f"{fraud:,} fraud, {legitimate:,} legitimate, {unknown:,} not known yet"
    return RuleBar(rule, hits, bad, good, other, title)


def _runs(points: Sequence[Mapping[str, Any]], kind: str, y: Callable[[float], float]) -> list[str]:
    runs: list[list[str]] = [[]]
    for point in points:
        share = point[kind]["share"]
        if share is None:
            runs.append([])
        else:
            runs[-1].append(f"{point['score_from']},{y(share)}")
    # A line of one point is drawn as a dot, by its round ends.
    return [" ".join(run if len(run) > 1 else run * 2) for run in runs if run]


def _band(points: Sequence[Mapping[str, Any]], kind: str, y: Callable[[float], float]) -> str:
    known = [point for point in points if point[kind]["share"] is not None]
    upper = [f"{point['score_from']},{y(point[kind]['high_95'])}" for point in known]
    lower = [f"{point['score_from']},{y(point[kind]['low_95'])}" for point in reversed(known)]
    return " ".join(upper + lower)


def _shares(point: Mapping[str, Any]) -> str:
    told = ((name, point[kind]) for kind, name in SHARES.items())
    return ", ".join(
        f"{name} {percent(one['share'])} (95 %: {percent(one['low_95'])} to {percent(one['high_95'])})"
        if one["share"] is not None
        else f"{name} not known"
        for name, one in told
    )


def _ends(points: Sequence[Mapping[str, Any]], told: Callable[[Mapping[str, Any]], str]) -> str:
    """The first and the last point: a picture's name for who does not see it."""
    if not points:
        return "nothing is known"
    return "; ".join(
        f"from {point['score_from']}: {told(point)}" for point in (points[0], points[-1])[: len(points)]
    )
