"""Currency conversion over integers: a rate is a ratio with a source and a time, and never a float.

A fraction of a minor unit cannot be booked, so amounts are rounded half-even. What that leaves is counted to 10^-18 of
a minor unit and added up; each whole minor unit of it moves from the liquidity account to the rounding account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from payment_gateway.domain.fees import half_even
from payment_gateway.domain.ledger import AccountName, Posting
from payment_gateway.domain.postings import merchant_account, platform_account
from platform_kit.clock import isoformat
from platform_kit.money import exponent

ATTO: Final = 10**18
"""Parts of a minor unit in which residues are counted: integers add up exactly, and below one they fit a BIGINT."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `sell` (a euro, not a cent) buys numerator/denominator units of `buy`."""

    sell: str
    buy: str
    numerator: int
    denominator: int
    source: str
    at: datetime

    def convert(self, amount_minor: int) -> int:
        """Minor units of `sell` (may be negative) as minor units of `buy`, each with its own number of decimals."""
        numerator, denominator = self._ratio(amount_minor)
        bought = half_even(numerator, denominator)
        return bought if amount_minor >= 0 else -bought

    def residue_atto(self, sold_minor: int, bought_minor: int) -> int:
        """What rounding left with the platform (positive) or took from it: 10^-18 minor units of `buy`."""
        numerator, denominator = self._ratio(sold_minor)
        left = numerator - abs(bought_minor) * denominator
        atto = half_even(abs(left) * ATTO, denominator)
        return atto if (left >= 0) == (sold_minor >= 0) else -atto

    def _ratio(self, amount_minor: int) -> tuple[int, int]:
        """The exact amount in minor units of `buy`, without its sign."""
        numerator = abs(amount_minor) * self.numerator * 10 ** exponent(self.buy)
        return numerator, self.denominator * 10 ** exponent(self.sell)


@dataclass(frozen=True, slots=True)
class Residue:
    """What conversions into a currency (`id`) have left and is no whole minor unit yet, in 10^-18 of one."""

    id: str
    carried_atto: int = 0

    def with_another(self, atto: int) -> tuple[Residue, int]:
        """After one more conversion: what is carried on, and the whole minor units (of either sign) to be booked."""
        total = self.carried_atto + atto
        whole = abs(total) // ATTO * (1 if total >= 0 else -1)
        return Residue(self.id, total - whole * ATTO), whole


def conversion(
    merchant_id: str, rate: Rate, sold_minor: int, bought_minor: int, rounded_minor: int = 0
) -> tuple[Posting, ...]:
    """Sell leg and buy leg through the platform's liquidity, in one journal; both turn round for a debt. With
    `rounded_minor` a third one: what rounding has left there by now, in whole minor units of the currency bought."""
    sell_leg = (merchant_account(merchant_id, "available", rate.sell), platform_account("fx", rate.sell))
    buy_leg = (platform_account("fx", rate.buy), merchant_account(merchant_id, "available", rate.buy))
    if sold_minor < 0:
        sell_leg, buy_leg = sell_leg[::-1], buy_leg[::-1]
    legs = (Posting(*sell_leg, abs(sold_minor)), Posting(*buy_leg, abs(bought_minor)))
    return legs + rounding(rate.buy, rounded_minor)


def rounding(currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """From liquidity to the rounding account what liquidity has too much, or back (negative); nothing for 0."""
    source, target = platform_account("fx", currency), platform_account("fx_rounding", currency)
    if amount_minor < 0:
        source, target = target, source
    return (Posting(source, target, abs(amount_minor)),) if amount_minor else ()


def accounts_of(merchant_id: str, sell: str, buy: str) -> tuple[AccountName, ...]:
    """The accounts that a conversion moves."""
    both = tuple(
        account
        for currency in (sell, buy)
        for account in (
            merchant_account(merchant_id, "available", currency),
            platform_account("fx", currency),
        )
    )
    return (*both, platform_account("fx_rounding", buy))


def rate_object(rate: Rate) -> dict[str, Any]:
    """A rate as events tell it: the exact ratio, its source and its time."""
    return {
        "sell": rate.sell,
        "buy": rate.buy,
        "numerator": rate.numerator,
        "denominator": rate.denominator,
        "source": rate.source,
        "at": isoformat(rate.at),
    }
