"""Is the model still good? Looked at where labels are known: does it rank frauds first, and does 30 mean 30 percent?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from risk_engine.domain.alerts import Signal

LABELLED_MIN = 500
FRAUDS_MIN = 50  # below it the average precision of a good week and a bad one overlap
AP_LOSS_MAX = 0.2  # of the reference
GAP_MAX = 0.10  # between mean score and share of frauds in a band
BAND_MIN = 100  # labelled decisions in a band
BAND_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """A decision whose end is known: its score, 0 to 100, and whether it was fraud."""

    score: int
    is_fraud: bool


def average_precision(labelled: Sequence[Labelled]) -> float:
    """Sum over thresholds of (recall gained) times precision; equal scores are one threshold. 0 without a fraud."""
    frauds = sum(one.is_fraud for one in labelled)
    found = seen = 0
    total = 0.0
    for _, group in groupby(sorted(labelled, key=lambda one: -one.score), key=lambda one: one.score):
        tied = list(group)
        gained = sum(one.is_fraud for one in tied)
        found, seen = found + gained, seen + len(tied)
        total += gained * found / seen
    return total / frauds if frauds else 0.0


def calibration_gap(labelled: Sequence[Labelled]) -> float:
    """The widest gap of a band of ten points between its mean score (as a probability) and its share of frauds."""
    gaps = [0.0]
    by_band = sorted(labelled, key=lambda one: one.score)
    for _, group in groupby(by_band, key=lambda one: min(one.score, 99) // BAND_WIDTH):
        band = list(group)
        if len(band) >= BAND_MIN:
            expected = sum(one.score for one in band) / 100
            gaps.append(abs(expected - sum(one.is_fraud for one in band)) / len(band))
    return max(gaps)


def find_quality(labelled: Sequence[Labelled], reference_ap: float) -> list[Signal]:
    """A signal when the model ranks worse than it did (`reference_ap`), or its scores are off."""
    frauds = sum(one.is_fraud for one in labelled)
    if len(labelled) < LABELLED_MIN or frauds < FRAUDS_MIN:
        return []
    ap, gap = average_precision(labelled), calibration_gap(labelled)
    if ap >= (1 - AP_LOSS_MAX) * reference_ap and gap < GAP_MAX:
        return []
    return [
        Signal(
            "model_quality",
            f"Average precision {ap:.3f} (reference {reference_ap:.3f}), widest calibration gap {gap:.1%}.",
            share=frauds / len(labelled),
            decisions=len(labelled),
            measures={
                "average_precision": round(ap, 4),
                "reference_average_precision": round(reference_ap, 4),
                "calibration_gap": round(gap, 4),
                "frauds": frauds,
            },
        )
    ]
