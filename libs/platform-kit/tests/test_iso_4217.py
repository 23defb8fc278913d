"""Our decimals against the published list: the `iso4217` package carries the table of the maintenance agency."""

from __future__ import annotations

import iso4217
import pytest

from platform_kit.money import CURRENCIES, format_minor

PUBLISHED = {currency.code: currency.exponent for currency in iso4217.Currency}


def test_every_active_code_has_the_exponent_of_the_list_and_no_other_code_exists() -> None:
    assert {code: decimals for code, decimals in PUBLISHED.items() if decimals is not None} == CURRENCIES


def test_what_has_no_minor_unit_is_no_money() -> None:
    without = {code for code, decimals in PUBLISHED.items() if decimals is None}
    assert {"XAU", "XDR", "XTS", "XXX"} <= without
    assert without.isdisjoint(CURRENCIES)


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("JPY", 0), ("KRW", 0), ("EUR", 2), ("BHD", 3), ("KWD", 3), ("CLF", 4), ("UYW", 4)],
)
def test_the_exceptions_are_what_everybody_says_they_are(code: str, decimals: int) -> None:
    assert CURRENCIES[code] == decimals


def test_four_decimals_are_written_with_four() -> None:
    assert format_minor(12_345, "CLF") == "1.2345"
