"""May a new model take the place of the one that scores now? Both scored the same labelled decisions.

Three questions, each with room for chance and none for hope: does it rank as well, does it alert as rarely, are its
probabilities as true. The difference of average precision is bootstrapped over decisions, in pairs (Efron 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk_engine.domain.model_quality import Labelled, calibration_gap
from risk_engine.domain.ranking import average_precision

LABELLED_MIN, FRAUDS_MIN = 500, 50  # below it no answer is worth having
RESAMPLES, SEED = 400, 0
CONFIDENCE = 0.95
AP_LOSS_MAX = 0.01  # of average precision that may be lost, in the worse end of the interval
ALERT_GROWTH_MAX = 1.25  # times the share of payments that reach the lowest band
ALERT_SHARE_FREE = 0.001  # and so much more, where hardly any did
GAP_GROWTH_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Scored:
    """One labelled decision with the scores of both models."""

    current: int
    candidate: int
    is_fraud: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """What was found, and why the candidate may not pass; it may when there is no reason."""

    labelled: int
    frauds: int
    figures: dict[str, Any]
    refused: tuple[str, ...]

    @property
    def passes(self) -> bool:
        return not self.refused


def judge(scored: Sequence[Scored], alert_from: int) -> Gate:
    """The gate for a candidate; `alert_from` is the lowest score at which the live rule set does something."""
    frauds = sum(one.is_fraud for one in scored)
    if len(scored) < LABELLED_MIN or frauds < FRAUDS_MIN:
        few = f"{len(scored)} labelled decisions with {frauds} frauds; {LABELLED_MIN} and {FRAUDS_MIN} are needed"
        return Gate(len(scored), frauds, {}, (few,))
    labels = np.array([one.is_fraud for one in scored], dtype=np.float64)
    current, candidate = (
        np.array([getattr(one, name) for one in scored], dtype=np.float64)
        for name in ("current", "candidate")
    )
    low, high = _difference_interval(current, candidate, labels)
    shares = [float((scores >= alert_from).mean()) for scores in (current, candidate)]
    gaps = [
        calibration_gap([Labelled(getattr(one, name), one.is_fraud) for one in scored])
        for name in ("current", "candidate")
    ]
    refused = []
    if low < -AP_LOSS_MAX:
        refused.append(f"its average precision may be lower by {-low:.3f}")
    if shares[1] > ALERT_GROWTH_MAX * shares[0] + ALERT_SHARE_FREE:
        refused.append(f"it alerts on {shares[1]:.2%} of payments instead of {shares[0]:.2%}")
    if gaps[1] > gaps[0] + GAP_GROWTH_MAX:
        refused.append(f"its probabilities are off by up to {gaps[1]:.1%} instead of {gaps[0]:.1%}")
    figures = {
        "average_precision": _pair(average_precision(current, labels), average_precision(candidate, labels)),
        "average_precision_change_95": [round(low, 4), round(high, 4)],
        "alert_share": _pair(*shares),
        "calibration_gap": _pair(*gaps),
    }
    return Gate(len(scored), frauds, figures, tuple(refused))


def _difference_interval(
    current: np.ndarray[Any, Any], candidate: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]
) -> tuple[float, float]:
    rng, found = np.random.default_rng(SEED), list[float]()
    while len(found) < RESAMPLES:
        rows = rng.integers(0, len(labels), len(labels))
        if labels[rows].any():
            found.append(
                average_precision(candidate[rows], labels[rows])
                - average_precision(current[rows], labels[rows])
            )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def _pair(current: float, candidate: float) -> dict[str, float]:
    return {"current": round(current, 4), "candidate": round(candidate, 4)}
