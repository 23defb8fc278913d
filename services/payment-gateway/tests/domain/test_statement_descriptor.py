"""What may stand on a statement; the API's document says the same as the code."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_gateway.domain.statement_descriptor import (
    LENGTH_LEAST,
    LENGTH_MOST,
    PATTERN,
    is_statement_descriptor,
)


@pytest.mark.parametrize("text", ["SHOP1", "Corner Shop & Sons 4/2", "A" * 22, "1234a", "#%?!x"])
def test_letters_digits_and_most_signs_are_shown(text: str) -> None:
    assert is_statement_descriptor(text)


@pytest.mark.parametrize("text", ["", "SHOP", "A" * 23, "12345", "SHOP\n1", "CAFÉ 1", "SHOP\x7f1"])
def test_what_is_too_short_too_long_without_a_letter_or_not_ascii_is_not(text: str) -> None:
    assert not is_statement_descriptor(text)


@pytest.mark.parametrize("sign", "<>\\'\"*")
def test_a_sign_that_statements_or_schemes_use_otherwise_is_not(sign: str) -> None:
    assert not is_statement_descriptor(f"SHOP {sign}1")


@settings(max_examples=50)
@given(st.text(st.characters(codec="ascii"), max_size=30) | st.text(max_size=30))
def test_the_pattern_of_the_document_says_what_the_code_says(text: str) -> None:
    documented = LENGTH_LEAST <= len(text) <= LENGTH_MOST and re.fullmatch(PATTERN, text) is not None
    assert is_statement_descriptor(text) == documented
