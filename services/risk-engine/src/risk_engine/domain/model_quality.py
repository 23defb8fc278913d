"""Is the model as good as it was? The newest labelled decisions against those labelled before them.

Against itself, because what is labelled is a choice: a platform that labels only disputes has many frauds among its
labels whatever the model is worth, and the same choice before and after cancels out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from risk_engine.domain.alerts import Signal
from risk_engine.domain.ranking import average_precision

SAMPLE_SIZE = 2_000  # labelled decisions, each before and after
FRAUDS_MIN = 100  # below it the average precision of two equal samples is a fifth apart too often
AP_LOSS_MAX = 0.2  # of what it was
GAP_GROWTH_MAX = 0.10
BAND_MIN = 200  # labelled decisions in a band: below it chance alone makes a gap of ten points
BAND_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """A decision whose end is known: its score, 0 to 100, and whether it was fraud."""

    score: int
    is_fraud: bool


def ranking_of(labelled: Sequence[Labelled]) -> float:
    """Average precision. There must be a fraud."""
    scores = np.array([one.score for one in labelled], dtype=np.float64)
    return average_precision(scores, np.array([one.is_fraud for one in labelled], dtype=np.float64))


def calibration_gap(labelled: Sequence[Labelled]) -> float:
    """The widest gap of a band of ten points between its mean score (as a probability) and its share of frauds."""
    gaps = [0.0]
    by_score = sorted(labelled, key=lambda one: one.score)
    for _, group in groupby(by_score, key=lambda one: min(one.score, 99) // BAND_WIDTH):
        band = list(group)
        if len(band) >= BAND_MIN:
            expected = sum(one.score for one in band) / 100
            gaps.append(abs(expected - sum(one.is_fraud for one in band)) / len(band))
    return max(gaps)


def find_quality(recent: Sequence[Labelled], before: Sequence[Labelled]) -> list[Signal]:
    """A signal when the model ranks worse than it did, or its probabilities are further off than they were."""
    if any(len(one) < SAMPLE_SIZE or _frauds(one) < FRAUDS_MIN for one in (recent, before)):
        return []
    ap, ap_before = ranking_of(recent), ranking_of(before)
    gap, gap_before = calibration_gap(recent), calibration_gap(before)
    if ap > (1 - AP_LOSS_MAX) * ap_before and gap < gap_before + GAP_GROWTH_MAX:
        return []
    return [
        Signal(
            "model_quality",
            f"Average precision {ap:.3f}, was {ap_before:.3f}; widest calibration gap {gap:.1%}, was {gap_before:.1%}.",
            share=_frauds(recent) / len(recent),
            baseline=_frauds(before) / len(before),
            decisions=len(recent),
            measures={
                "average_precision": round(ap, 4),
                "average_precision_before": round(ap_before, 4),
                "calibration_gap": round(gap, 4),
                "calibration_gap_before": round(gap_before, 4),
            },
        )
    ]


def _frauds(labelled: Sequence[Labelled]) -> int:
    return sum(one.is_fraud for one in labelled)
