"""Calibration is monotone and bounded, whatever the trees say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.score import Calibration, Estimate, estimate_of

CALIBRATION = Calibration((0.1, 0.5, 0.9), (0.0, 0.2, 1.0))
raws = st.floats(allow_nan=False, allow_infinity=True)


@pytest.mark.parametrize(
    ("raw", "score"),
    [(-1.0, 0), (0.1, 0), (0.3, 10), (0.5, 20), (0.7, 60), (0.9, 100), (5.0, 100), (0.109, 0), (0.111, 1)],
)
def test_scores_lie_on_the_lines_between_the_knots(raw: float, score: int) -> None:
    assert estimate_of(CALIBRATION, raw).score == score


@given(raws, raws)
def test_a_higher_output_never_scores_lower(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= estimate_of(CALIBRATION, low).score <= estimate_of(CALIBRATION, high).score <= 100


def test_one_knot_is_a_constant() -> None:
    constant = Calibration((0.5,), (0.3,))
    assert estimate_of(constant, 0.1) == estimate_of(constant, 0.9) == Estimate(30, 300_000)


def test_millionths_tell_apart_what_whole_percents_call_equal() -> None:
    lower, higher = (estimate_of(CALIBRATION, raw) for raw in (0.501, 0.502))
    assert lower.score == higher.score == 20
    assert (lower.probability_ppm, higher.probability_ppm) == (202_000, 204_000)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        estimate_of(CALIBRATION, float("nan"))


@pytest.mark.parametrize(
    ("raw", "probability"),
    [((), ()), ((0.1,), (0.1, 0.2)), ((0.2, 0.1), (0.1, 0.2)), ((0.1, 0.2), (0.2, 0.1)), ((0.1,), (1.1,))],
)
def test_a_broken_table_is_refused(raw: tuple[float, ...], probability: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        Calibration(raw, probability)
