"""Stripe's wire form, read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.api.stripe.errors import InvalidParameter
from payment_gateway.api.stripe.form import Parameters, parse_pairs


def test_nested_names_become_objects_and_numbered_ones_lists() -> None:
    pairs = [
        ("amount", "5"),
        ("metadata[a]", "b"),
        ("types[0]", "card"),
        ("types[1]", "wallet"),
        ("x[][y]", "1"),
    ]
    assert parse_pairs(pairs) == {
        "amount": "5", "metadata": {"a": "b"}, "types": ["card", "wallet"], "x": {"": {"y": "1"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "1"), ("a", "2")],
        [("a", "1"), ("a[b]", "2")],
        [("a[b]", "1"), ("a", "2")],
        [("a[b", "1")],
        [("", "1")],
        [("a[b][c][d][e][f]", "1")],
        [("a", "nul\x00")],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidParameter):
        parse_pairs(pairs)


@pytest.mark.parametrize("value", ["1.5", "1e3", "٣", " 1", "0x1", "1_000", "true", "9" * 19])
def test_an_amount_is_ascii_digits_and_nothing_else(value: str) -> None:
    with pytest.raises(InvalidParameter):
        Parameters({"amount": value}).integer("amount", least=1)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=6))
def test_no_form_is_more_than_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        parse_pairs(pairs)
    except InvalidParameter:
        return
