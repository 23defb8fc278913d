"""The measures on cases worked by hand."""

import numpy as np
import pytest

from risk_engine.domain.ranking import area_under_curve, average_precision, card_precision


def test_ranking_figures_with_a_tie() -> None:
    scores, labels = np.array([0.9, 0.8, 0.8, 0.1]), np.array([1.0, 0.0, 1.0, 0.0])
    assert area_under_curve(scores, labels) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert average_precision(scores, labels) == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)


def test_a_card_ranks_by_its_highest_score_and_is_looked_at_once() -> None:
    card, day = np.array([1, 1, 2, 3]), np.zeros(4, dtype=np.int64)
    scores, labels = np.array([0.1, 0.9, 0.5, 0.4]), np.array([1.0, 0.0, 1.0, 0.0])
    assert card_precision(scores, labels, card, day, at_most=1) == 1.0
    assert card_precision(scores, labels, card, day, at_most=2) == 1.0
    assert card_precision(scores, labels, card, day, at_most=4) == 0.5


def test_a_card_that_was_found_leaves_the_later_days_and_others_move_up() -> None:
    card, day = np.array([1, 2, 1, 3]), np.array([0, 0, 1, 1])
    scores, labels = np.array([0.9, 0.1, 0.9, 0.2]), np.array([1.0, 0.0, 1.0, 1.0])
    assert card_precision(scores, labels, card, day, at_most=1) == 1.0  # card 1, then card 3 in its place
    labels = np.array([0.0, 0.0, 0.0, 1.0])
    assert (
        card_precision(scores, labels, card, day, at_most=1) == 0.0
    )  # card 1 was no fraud: it stays in the way
