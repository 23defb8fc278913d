"""A model that ranks worse than it did or lies about probabilities is told; one that is as it was is not."""

import random

import pytest

from risk_engine.domain.model_quality import (
    FRAUDS_MIN,
    SAMPLE_SIZE,
    Labelled,
    calibration_gap,
    find_quality,
    ranking_of,
)


def labelled(
    number: int = SAMPLE_SIZE, *, seed: int = 1, believed: float = 1.0, blind: float = 0.0
) -> list[Labelled]:
    """Scores whose frauds come `believed` times as often as they say; a share `blind` of the scores says nothing."""
    source = random.Random(seed)
    made = []
    for _ in range(number):
        probability = min(0.99, source.expovariate(1 / 0.15))
        is_fraud = source.random() < min(1.0, probability * believed)
        shown = min(0.99, source.expovariate(1 / 0.15)) if source.random() < blind else probability
        made.append(Labelled(round(shown * 100), is_fraud))
    return made


def test_average_precision_of_a_known_ranking_with_ties_as_one_step() -> None:
    ranked = [
        Labelled(score, fraud) for score, fraud in ((9, True), (8, False), (7, True), (6, False), (5, True))
    ]
    assert ranking_of(ranked) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert ranking_of([Labelled(5, True), Labelled(5, False), Labelled(5, False), Labelled(5, True)]) == 0.5


def test_an_honest_model_has_no_gap_and_another_one_has() -> None:
    assert calibration_gap(labelled(20_000)) < 0.05
    assert calibration_gap(labelled(20_000, believed=0.5)) > 0.10
    assert calibration_gap([Labelled(90, False)] * 199) == 0.0, "a band of few"


@pytest.mark.parametrize("seed", range(8))
def test_a_model_that_is_as_it_was_raises_nothing(seed: int) -> None:
    assert find_quality(labelled(seed=seed), labelled(seed=100 + seed)) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_model_that_became_blind_is_told(seed: int) -> None:
    (signal,) = find_quality(labelled(seed=seed, blind=0.8), labelled(seed=100 + seed))
    assert (signal.kind, signal.decisions) == ("model_quality", SAMPLE_SIZE)
    assert signal.measures["average_precision"] < 0.8 * signal.measures["average_precision_before"]


def test_what_is_off_as_before_is_the_choice_of_what_is_labelled() -> None:
    """Only disputes are labelled: nearly all are frauds, before and after."""
    assert find_quality(labelled(seed=1, believed=6), labelled(seed=2, believed=6)) == []


def test_few_labels_or_frauds_say_nothing() -> None:
    worse = labelled(blind=1.0)
    assert find_quality(worse, labelled(SAMPLE_SIZE - 1)) == []
    few = [Labelled(99, True)] * (FRAUDS_MIN - 1) + [Labelled(1, False)] * SAMPLE_SIZE
    assert find_quality(worse, few) == []
