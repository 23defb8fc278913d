"""Conversion: exponents, rounding, round trips, conservation per currency."""

from __future__ import annotations

from fractions import Fraction

import pytest
from factories import NOON
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.clients.rates import PER_EURO, SandboxRates
from payment_gateway.domain.fx import Rate, conversion
from platform_kit.money import exponent

CURRENCIES = st.sampled_from(sorted(PER_EURO))


@pytest.mark.parametrize(
    ("sell", "buy", "amount", "bought"),
    [("EUR", "JPY", 10_000, 16_345), ("JPY", "EUR", 16_345, 10_000), ("EUR", "KWD", 10_000, 33_170),
     ("KWD", "EUR", 33_170, 10_000), ("USD", "USD", 123, 123), ("EUR", "USD", -10_000, -10_825)],
)  # fmt: skip
def test_each_currency_has_its_own_number_of_decimals(sell: str, buy: str, amount: int, bought: int) -> None:
    rate = SandboxRates().rate(sell, buy)
    assert rate is not None
    assert rate.convert(amount) == bought


@given(sell=CURRENCIES, buy=CURRENCIES, amount=st.integers(1, 10**12))
def test_there_and_back_is_off_by_no_more_than_the_rounding_of_both_ways(
    sell: str, buy: str, amount: int
) -> None:
    there, back = SandboxRates().rate(sell, buy), SandboxRates().rate(buy, sell)
    assert there is not None
    assert back is not None
    unit = Fraction(back.numerator * 10 ** exponent(sell), back.denominator * 10 ** exponent(buy))
    assert abs(back.convert(there.convert(amount)) - amount) <= unit / 2 + Fraction(1, 2)


@given(amount=st.integers(-(10**12), 10**12).filter(bool), numerator=st.integers(1, 10**9))
def test_each_leg_stays_in_its_own_currency_and_a_debt_turns_both_round(amount: int, numerator: int) -> None:
    rate = Rate("EUR", "USD", numerator, 10**6, "test", NOON)
    bought = rate.convert(amount)
    if not bought:
        return
    sell_leg, buy_leg = conversion("m", rate, amount, bought)
    assert (sell_leg.debit.currency, buy_leg.debit.currency) == ("EUR", "USD")
    assert (sell_leg.debit.owner == "platform") == (buy_leg.credit.owner == "platform") == (amount < 0)
    assert (sell_leg.amount_minor, buy_leg.amount_minor) == (abs(amount), abs(bought))


def test_a_pair_without_a_rate_is_not_converted() -> None:
    assert SandboxRates().rate("EUR", "ZWG") is None
