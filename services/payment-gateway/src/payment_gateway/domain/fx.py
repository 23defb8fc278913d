"""Currency conversion over integers: a rate is a ratio with a source and a time, and never a float.

A fraction of a minor unit cannot be booked, so amounts are rounded half-even; the liquidity accounts carry the
difference, which is below one minor unit of the bought currency for each conversion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment_gateway.domain.fees import half_even
from payment_gateway.domain.ledger import AccountName, Posting
from payment_gateway.domain.postings import merchant_account, platform_account
from platform_kit.clock import isoformat
from platform_kit.money import exponent


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
        numerator = abs(amount_minor) * self.numerator * 10 ** exponent(self.buy)
        bought = half_even(numerator, self.denominator * 10 ** exponent(self.sell))
        return bought if amount_minor >= 0 else -bought


def conversion(merchant_id: str, rate: Rate, sold_minor: int, bought_minor: int) -> tuple[Posting, ...]:
    """Sell leg and buy leg through the platform's liquidity, in one journal; both turn round for a debt."""
    sell_leg = (merchant_account(merchant_id, "available", rate.sell), platform_account("fx", rate.sell))
    buy_leg = (platform_account("fx", rate.buy), merchant_account(merchant_id, "available", rate.buy))
    if sold_minor < 0:
        sell_leg, buy_leg = sell_leg[::-1], buy_leg[::-1]
    return (Posting(*sell_leg, abs(sold_minor)), Posting(*buy_leg, abs(bought_minor)))


def accounts_of(merchant_id: str, sell: str, buy: str) -> tuple[AccountName, ...]:
    """The accounts that a conversion moves."""
    return tuple(
        account
        for currency in (sell, buy)
        for account in (
            merchant_account(merchant_id, "available", currency),
            platform_account("fx", currency),
        )
    )


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
