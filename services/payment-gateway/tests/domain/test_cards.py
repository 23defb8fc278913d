"""What a check without money says of each test card, and what is shown of a token."""

from datetime import UTC, datetime

import pytest

from payment_gateway.domain.cards import (
    TEST_CARDS,
    InvalidCard,
    card_of_token,
    checked_expiry,
    luhn_valid,
    shown_token,
)

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.mark.parametrize("number", TEST_CARDS)
def test_every_test_number_has_a_right_check_digit_and_no_other_digit_would_do(number: str) -> None:
    assert luhn_valid(number)
    assert not any(luhn_valid(number[:-1] + digit) for digit in "0123456789" if digit != number[-1])


@pytest.mark.parametrize(("month", "year"), [(11, 2026), (12, 2026), (1, 2027), (12, 2076)])
def test_a_card_is_good_until_the_end_of_its_month(month: int, year: int) -> None:
    checked_expiry(month, year, NOW)


@pytest.mark.parametrize(
    ("month", "year"), [(10, 2026), (12, 2025), (0, 2030), (13, 2030), (1, 2077), (1, 30)]
)
def test_a_card_that_has_expired_or_never_will_is_refused(month: int, year: int) -> None:
    with pytest.raises(InvalidCard) as refused:
        checked_expiry(month, year, NOW)
    assert refused.value.code == "invalid-expiry"


def test_a_token_with_a_suffix_is_shown_as_the_card_of_its_stem() -> None:
    assert shown_token("tok_visa_4711")["last4"] == "4242"
    assert shown_token("tok_timeout")["brand"] == "unknown"
    card = card_of_token("tok_3ds_declined_1")
    assert card is not None
    assert card.number == "4000008400001629"
