"""Fees: integers in, integers out, never more than the amount, and parts that add up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain.fees import FeePlan, FeeRule, half_even, plan_of, returned_share, split

AMOUNTS = st.integers(1, 10**12)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"), [(5, 10, 0), (15, 10, 2), (25, 10, 2), (26, 10, 3), (0, 7, 0)]
)
def test_halves_go_to_the_even_neighbour(numerator: int, denominator: int, rounded: int) -> None:
    assert half_even(numerator, denominator) == rounded


@given(numerator=st.integers(0, 10**18), denominator=st.integers(1, 10**9))
def test_half_even_rounds_as_exact_fractions_do(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(amount=AMOUNTS, points=st.integers(0, 10_000), fixed=st.integers(0, 10**9))
def test_a_fee_is_never_negative_nor_more_than_the_amount(amount: int, points: int, fixed: int) -> None:
    assert 0 <= FeeRule(points, fixed_minor={"EUR": fixed}).fee_minor(amount, "EUR") <= amount


@given(amount=st.integers(0, 10**12), weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_the_parts_of_a_split_add_up_and_are_at_most_one_unit_off(amount: int, weights: list[int]) -> None:
    if not sum(weights):
        return
    parts = split(amount, weights)
    assert sum(parts) == amount
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, exact, strict=True))


def test_the_first_rule_that_fits_counts() -> None:
    plan = plan_of(
        {"rules": [{"basis_points": 140, "method": "card", "fixed_minor": {"EUR": 25}}, {"basis_points": 10}]}
    )
    assert plan is not None
    assert plan.fee_minor("card", 10_000, "EUR") == 165
    assert plan.fee_minor("wallet", 10_000, "EUR") == 10
    assert FeePlan(()).fee_minor("card", 10_000, "EUR") == 0


def test_a_fee_stays_between_its_least_and_its_most() -> None:
    rule = FeeRule(100, least_minor={"EUR": 50}, most_minor={"EUR": 80})
    assert [rule.fee_minor(amount, "EUR") for amount in (1_000, 6_000, 90_000)] == [50, 60, 80]


@given(fee=st.integers(0, 10**9), parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=12))
def test_refunds_in_whatever_parts_give_back_the_whole_fee_and_never_more(fee: int, parts: list[int]) -> None:
    captured = sum(parts)
    returned = refunded = 0
    for part in parts:
        refunded += part
        share = returned_share(fee, returned, refunded, captured)
        returned += share
        assert share >= 0
        assert abs(returned - Fraction(fee * refunded, captured)) <= Fraction(1, 2)
    assert returned == fee


def test_the_largest_remainder_decides_over_all_refunds_so_far() -> None:
    assert [
        returned_share(165, returned, refunded, 10_000)
        for returned, refunded in ((0, 1_000), (17, 2_000), (33, 10_000))
    ] == [17, 16, 132]
