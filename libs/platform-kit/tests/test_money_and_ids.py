"""The two value modules that every domain may import."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from platform_kit.ids import _base32, earliest_id, is_id, new_id
from platform_kit.money import CURRENCIES, CurrencyMismatch, Money, exponent, format_minor, plain_minor


def test_amounts_of_one_currency_add_and_compare() -> None:
    assert Money(1250, "EUR") + Money(50, "EUR") - Money(300, "EUR") == Money(1000, "EUR")
    assert Money(1, "EUR") < Money(2, "EUR") <= Money(2, "EUR")


def test_two_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") + Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        assert Money(1, "EUR") < Money(1, "USD")


@pytest.mark.parametrize("amount", [1.0, "1", True, None])
def test_money_is_never_anything_but_an_integer(amount: object) -> None:
    with pytest.raises(TypeError):
        Money(amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["eur", "XXX", "XTS", "EUR\n", ""])
def test_only_active_currencies_exist(currency: str) -> None:
    with pytest.raises(ValueError):
        Money(1, currency)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1250, "EUR", "12.50"),
        (1250, "JPY", "1,250"),
        (1250, "KWD", "1.250"),
        (-5, "USD", "-0.05"),
        (123456789, "EUR", "1,234,567.89"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(
    amount_minor: int, currency: str, text: str
) -> None:
    assert format_minor(amount_minor, currency) == text
    assert plain_minor(amount_minor, currency) == text.replace(",", "")


def test_the_exponents_that_payment_code_gets_wrong() -> None:
    assert [exponent(code) for code in ("JPY", "KRW", "USD", "BHD", "KWD")] == [0, 0, 2, 3, 3]
    assert len(CURRENCIES) >= 150


def test_ids_rise_within_a_process_even_within_a_millisecond() -> None:
    ids = [new_id("pay") for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert all(is_id("pay", one) for one in ids)


@pytest.mark.parametrize(
    "value", ["pay_", "pay_short", "ref_" + "0" * 26, "pay_" + "U" * 26, "pay" + "0" * 27]
)
def test_what_is_no_id_is_told_apart(value: str) -> None:
    assert not is_id("pay", value)


def test_the_earliest_id_of_a_time_parts_what_was_before_from_what_came_after() -> None:
    before = new_id("pay")
    border = earliest_id("pay", datetime.now(UTC) + timedelta(seconds=1))
    assert is_id("pay", border)
    assert before < border
    assert earliest_id("pay", datetime.now(UTC) - timedelta(milliseconds=2)) < new_id("pay")


@pytest.mark.parametrize(
    "number",
    [0, 1, 1023, 1 << 59, (1 << 60) - 1, 1 << 60, (1 << 70) | 5, (1 << 128) - 1, 0x0123456789ABCDEF << 61],
)
def test_an_id_is_its_number_in_crockfords_base32(number: int) -> None:
    digits = {letter: digit for digit, letter in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}
    shown = _base32(number)
    assert len(shown) == 26
    assert sum(digits[letter] << 5 * place for place, letter in enumerate(reversed(shown))) == number
