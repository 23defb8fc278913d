"""Conversion: exponents, rounding, round trips, conservation per currency."""

from __future__ import annotations

from fractions import Fraction

import pytest
from factories import NOON
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.clients.rates import PER_EURO, SandboxRates
from payment_gateway.domain.fx import ATTO, Rate, Residue, conversion, rounding
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


@given(
    amounts=st.lists(st.tuples(st.integers(-(10**9), 10**9).filter(bool), CURRENCIES), max_size=30),
    buy=CURRENCIES,
)
def test_what_rounding_left_of_any_conversions_is_booked_but_for_less_than_a_minor_unit(
    amounts: list[tuple[int, str]], buy: str
) -> None:
    """Held to exact fractions: what was to be paid out, less what was, is the rounding account and what is carried."""
    carried, booked, left = Residue(buy), 0, Fraction(0)
    for amount, sell in amounts:
        rate = SandboxRates().rate(sell, buy)
        assert rate is not None
        bought = rate.convert(amount)
        exact = Fraction(rate.numerator * 10 ** exponent(buy), rate.denominator * 10 ** exponent(sell))
        left += amount * exact - bought
        carried, whole = carried.with_another(rate.residue_atto(amount, bought))
        booked += whole
        assert abs(carried.carried_atto) < ATTO
        assert abs(whole) <= 1
    assert abs(left - booked - Fraction(carried.carried_atto, ATTO)) <= Fraction(len(amounts), 2 * ATTO)


def test_the_rounding_account_gets_what_liquidity_has_too_much_and_gives_back_what_it_lacks() -> None:
    (kept,) = rounding("USD", 1)
    assert (kept.debit.kind, kept.credit.kind, kept.amount_minor) == ("fx", "fx_rounding", 1)
    (given_back,) = rounding("USD", -1)
    assert (given_back.debit.kind, given_back.credit.kind) == ("fx_rounding", "fx")
    assert rounding("USD", 0) == ()
