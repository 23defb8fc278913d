"""Drift: is what the model sees still what it saw? PSI says how much, KS sees what falls into one bin.

Population stability index over the reference's deciles: sum of (a - e) ln(a / e), a and e the shares of sample and
reference. 0.1 is usually called a moderate shift and 0.25 a major one (Siddiqi, Credit Risk Scorecards, 2006).
Samples are of a fixed size: a p-value would fire on any difference, however small, once there are enough rows.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from risk_engine.domain.alerts import Signal

SAMPLE_SIZE = 1_000  # by chance alone PSI is then about 0.02
BINS = 10
PSI_MAJOR = 0.25
KS_MAJOR = 0.2  # twice what chance gives; sees a move inside one bin, where PSI is blind
SCORE = "score"
# What the hour decides and not the payments: a sample is spread evenly over a day, and its weekday is one.
CALENDAR = frozenset({"is_weekend", "is_night"})

Columns = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one column has moved. `ks` is the largest distance of the two distribution functions."""

    column: str
    psi: float
    ks: float


def psi(reference: Sequence[float], sample: Sequence[float], bins: int = BINS) -> float:
    """Population stability index; half a row is added to each bin, so that an empty one is no infinity."""
    ordered = sorted(reference)
    edges = sorted({ordered[len(ordered) * cut // bins] for cut in range(1, bins)})
    return sum(
        (a - e) * math.log(a / e)
        for a, e in zip(_shares(sample, edges), _shares(ordered, edges), strict=True)
    )


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    counts = [0.5] * (len(edges) + 1)
    for value in values:
        counts[bisect_left(edges, value)] += 1
    total = sum(counts)
    return [count / total for count in counts]


def ks(reference: Sequence[float], sample: Sequence[float]) -> float:
    """Two-sample Kolmogorov-Smirnov statistic, 0 to 1."""
    one, other = sorted(reference), sorted(sample)
    return max(
        abs(bisect_right(one, at) / len(one) - bisect_right(other, at) / len(other)) for at in {*one, *other}
    )


def compare(reference: Columns, sample: Columns) -> list[Drift]:
    """Each column that both have, those that moved most first; calendar columns are left out."""
    columns = [name for name in reference if name in sample and name not in CALENDAR]
    found = [
        Drift(name, psi(reference[name], sample[name]), ks(reference[name], sample[name])) for name in columns
    ]
    return sorted(found, key=lambda drift: -drift.psi)


def find_drift(drifts: Sequence[Drift]) -> list[Signal]:
    """A signal per column with a major shift."""
    return [
        Signal(
            "score_drift" if one.column == SCORE else "feature_drift",
            f"{one.column} is not distributed as in the reference: PSI {one.psi:.2f}, KS {one.ks:.2f}.",
            scope="" if one.column == SCORE else one.column,
            decisions=SAMPLE_SIZE,
            measures={"psi": round(one.psi, 4), "ks": round(one.ks, 4)},
        )
        for one in drifts
        if one.psi >= PSI_MAJOR or one.ks >= KS_MAJOR
    ]


def spread(rows: Sequence[list[float]], size: int = SAMPLE_SIZE) -> list[list[float]]:
    """`size` of the rows, evenly from first to last. There must be as many."""
    return [rows[index * len(rows) // size] for index in range(size)]
