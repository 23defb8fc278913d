"""Average precision as the libraries compute it, calibration by bands, and when they are worth an alert."""

import random

import pytest

from risk_engine.domain.model_quality import (
    Labelled,
    average_precision,
    calibration_gap,
    find_quality,
)


def labelled(number: int, *, seed: int = 1, honest: bool = True) -> list[Labelled]:
    """Scores whose frauds come as often as they say; a dishonest model's come half as often."""
    source = random.Random(seed)
    scores = [min(99, int(source.expovariate(1 / 12))) for _ in range(number)]
    return [Labelled(score, source.random() < score / 100 * (1 if honest else 0.5)) for score in scores]


def test_average_precision_of_a_known_ranking() -> None:
    """Precisions at the frauds 1/1, 2/3, 3/5."""
    ranked = [
        Labelled(score, fraud) for score, fraud in ((9, True), (8, False), (7, True), (6, False), (5, True))
    ]
    assert average_precision(ranked) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert average_precision(ranked[::-1]) == average_precision(ranked)


def test_equal_scores_are_one_threshold() -> None:
    tied = [Labelled(5, True), Labelled(5, False), Labelled(5, False), Labelled(5, True)]
    assert average_precision(tied) == 0.5
    assert average_precision([Labelled(5, False)]) == 0.0


def test_an_honest_model_has_no_gap_and_another_one_has() -> None:
    assert calibration_gap(labelled(20_000)) < 0.05
    assert calibration_gap(labelled(20_000, honest=False)) > 0.10
    assert calibration_gap([Labelled(90, False)] * 99) == 0.0, "a band of 99"


def test_a_model_as_good_as_its_reference_raises_nothing() -> None:
    rows = labelled(5_000)
    assert find_quality(rows, average_precision(rows)) == []


def test_a_model_that_ranks_worse_or_lies_about_probabilities_is_told() -> None:
    rows = labelled(5_000)
    (worse,) = find_quality(rows, average_precision(rows) / 0.75)
    assert (worse.kind, worse.decisions) == ("model_quality", 5_000)
    lying = labelled(20_000, honest=False)
    assert find_quality(lying, average_precision(lying)) != []


def test_few_labels_say_nothing() -> None:
    assert find_quality(labelled(499), 1.0) == []
    assert find_quality([Labelled(1, False)] * 1_000 + [Labelled(99, True)] * 49, 2.0) == []
