"""What the score alone is worth: for each threshold, what stopping every payment from that score on would have caught
and whom it would have hurt.

The points are those of a plot: precision over recall, money saved and good customers hurt over the threshold. Only
payments that a model scored are counted, so the totals are the curve's own and not the backtest's.
"""

from collections.abc import Mapping
from typing import Any

from risk_engine.domain.score import SCORE_MAX
from risk_engine.domain.shares import share_of


def _none_of_any_score() -> list[int]:
    return [0] * (SCORE_MAX + 1)


class ScoreCurve:
    """Adds up by score, so that every threshold is a sum from the top down; order does not matter."""

    __slots__ = ("_fraud_minor", "_frauds", "_legitimate", "_legitimate_minor", "_payments", "_stopped_minor")

    def __init__(self) -> None:
        self._payments = _none_of_any_score()
        self._frauds = _none_of_any_score()
        self._fraud_minor = _none_of_any_score()
        self._legitimate = _none_of_any_score()
        self._legitimate_minor = _none_of_any_score()
        self._stopped_minor = 0  # fraud among them that was stopped when it was decided

    def add(self, score: int, amount_minor: int, *, is_fraud: bool | None, was_stopped: bool) -> None:
        """One scored payment; `amount_minor` in the reference currency, `is_fraud` None while nobody knows."""
        self._payments[score] += 1
        if is_fraud is None:
            return
        if is_fraud:
            self._frauds[score] += 1
            self._fraud_minor[score] += amount_minor
            self._stopped_minor += amount_minor * was_stopped
        else:
            self._legitimate[score] += 1
            self._legitimate_minor[score] += amount_minor

    def as_report(self) -> Mapping[str, Any]:
        """A point for each score that occurred, the lowest first: at the first everything is stopped."""
        scored, frauds, legitimate = sum(self._payments), sum(self._frauds), sum(self._legitimate)
        points = []
        stopped = caught = caught_minor = hurt = hurt_minor = 0
        for score in range(SCORE_MAX, -1, -1):
            if not self._payments[score]:
                continue  # the threshold above stops the same payments
            stopped += self._payments[score]
            caught += self._frauds[score]
            caught_minor += self._fraud_minor[score]
            hurt += self._legitimate[score]
            hurt_minor += self._legitimate_minor[score]
            points.append(
                {
                    "score_from": score,
                    "stopped": share_of(stopped, scored) | {"number": stopped},
                    "precision": share_of(caught, caught + hurt),
                    "recall": share_of(caught, frauds),
                    "frauds_stopped": caught,
                    "fraud_stopped_minor": caught_minor,
                    "money_saved_minor": caught_minor - self._stopped_minor,
                    "good_stopped": share_of(hurt, legitimate) | {"number": hurt},
                    "good_stopped_minor": hurt_minor,
                }
            )
        return {
            "payments": scored,
            "frauds": frauds,
            "fraud_minor": sum(self._fraud_minor),
            "legitimate": legitimate,
            "points": points[::-1],
        }
