"""How well scores rank: the measures of the model card and of the handbook's benchmark."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def area_under_curve(scores: Floats, labels: Floats) -> float:
    """Probability that a fraud outranks a legitimate payment, ties counted half."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    frauds = labels.sum()
    return float((ranks[labels > 0].sum() - frauds * (frauds + 1) / 2) / (frauds * (len(labels) - frauds)))


def average_precision(scores: Floats, labels: Floats) -> float:
    """Area under precision and recall, step-wise; ties share one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(labels[order])[ends]
    recall_steps = np.diff(np.concatenate([[0], found])) / labels.sum()
    return float((recall_steps * found / (ends + 1)).sum())


def card_precision(scores: Floats, labels: Floats, card: Ints, day: Ints, at_most: int = 100) -> float:
    """Share of defrauded cards among the `at_most` that are looked at each day, mean over days (the handbook's CP@100).

    A card ranks by its highest score of the day; one that was found is blocked and leaves the later days.
    """
    found: Ints = np.array([], dtype=np.int64)
    shares = []
    for today in np.unique(day):
        rows = np.flatnonzero((day == today) & ~np.isin(card, found))
        cards, place = np.unique(card[rows], return_inverse=True)
        highest, is_hit = np.full(len(cards), -np.inf), np.zeros(len(cards), dtype=bool)
        np.maximum.at(highest, place, scores[rows])
        np.logical_or.at(is_hit, place, labels[rows] > 0)
        looked_at = np.argsort(-highest, kind="stable")[:at_most]
        found = np.concatenate([found, cards[looked_at][is_hit[looked_at]]])
        shares.append(np.count_nonzero(is_hit[looked_at]) / at_most)
    return float(np.mean(shares))
