"""A run beside the last ones of its profile: only what is wider than runs differ by anyway is a difference."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

RUNS_MAX = 9  # older ones were of another program
WIDEST = 3  # fewer runs than this have a median, but no spread that means anything
FIGURES = ("p50_ms", "p95_ms", "p99_ms")
LEAST_BAND = 0.05  # of the median: below 5 % nobody should call anything a difference
SAME = ("target", "cores", "cpu")  # of the environment: other machines are no yardstick


@dataclass(frozen=True, slots=True)
class Line:
    """One figure against earlier ones. `band`: half the width of what is noise, in the figure's unit."""

    name: str
    now: float
    before: float  # the median
    band: float | None  # None: too few runs to know
    runs: int

    @property
    def change(self) -> float:
        return self.now / self.before - 1 if self.before else 0.0

    @property
    def word(self) -> str:
        if self.band is None:
            return f"not known: {self.runs} earlier run{'' if self.runs == 1 else 's'}, {WIDEST} are needed"
        if abs(self.now - self.before) <= self.band:
            return "within noise"
        return "higher than noise explains" if self.now > self.before else "lower than noise explains"


def earlier(directory: Path, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Summaries of earlier valid runs of the same profile, loop, shape and kind of machine, beside this one's."""
    found = []
    for file in directory.parent.glob(f"{summary['profile']}-*/summary.json"):
        if file.parent == directory:
            continue
        try:
            other = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if other["begin_at"] < summary["begin_at"] and _is_comparable(other, summary):
            found.append(other)
    return sorted(found, key=lambda other: float(other["begin_at"]))[-RUNS_MAX:]


def _is_comparable(other: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    same = all(other["environment"].get(name) == summary["environment"].get(name) for name in SAME)
    shape = [(stage["name"], stage["target_per_s"]) for stage in summary["stages"]]
    return (
        same
        and other["verdict"] != "INVALID"
        and other["loop"] == summary["loop"]
        and [(stage["name"], stage["target_per_s"]) for stage in other["stages"]] == shape
    )


def compare(summary: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Every latency of every request, the errors and the generator's CPU; only what both have."""
    lines = []
    for step, figures in summary["steps"].items():
        for figure in FIGURES:
            before = [
                other["steps"][step][figure]
                for other in others
                if other["steps"].get(step, {}).get(figure) is not None
            ]
            if before and figures[figure] is not None:
                lines.append(line(f"{step} {figure.removesuffix('_ms')} (ms)", figures[figure], before))
    return lines


def line(name: str, now: float, before: Sequence[float]) -> Line:
    """The median of `before` and three times their median deviation from it: one odd run widens nothing."""
    middle = median(before)
    band = None
    if len(before) >= WIDEST:
        spread = median(abs(value - middle) for value in before)
        band = max(3 * spread, LEAST_BAND * middle)
    return Line(name, now, middle, band, len(before))
