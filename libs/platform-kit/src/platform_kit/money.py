"""Money as integer minor units and an ISO 4217 currency. Standard library only, so that every domain may import it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# Active ISO 4217 codes that have a minor unit, by number of decimals (list one; `tests/test_iso_4217.py`
# compares). Two decimals are the rule; the exceptions are what payment code gets wrong (USD taken as 0, BHD as 2).
# Units of account such as CLF and XAD are on the list; metals and test codes have no minor unit, so they are no money.
_EXPONENTS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
    "VED VES WST XCD XCG YER ZAR ZMW ZWG "
    "BOV CHE CHW COU MXV USN XAD",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
CURRENCIES: Final[dict[str, int]] = {
    code: exponent for exponent, codes in _EXPONENTS.items() for code in codes.split()
}
"""Currency code -> number of decimals."""

AMOUNT_MAX: Final = 10**12
"""Largest amount of one movement in minor units (ten billion euro): far from BIGINT, so sums cannot overflow."""


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one operation."""


def exponent(currency: str) -> int:
    """Decimals of `currency`. Raises KeyError for a code that is not an active ISO 4217 currency."""
    return CURRENCIES[currency]


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount_minor` is in the smallest unit of `currency`: Money(1250, "EUR") is 12.50 euro."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise TypeError("amount_minor must be an int: floats never hold money")
        if self.currency not in CURRENCIES:
            raise ValueError("currency must be an active ISO 4217 code")

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same(other).amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same(other).amount_minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other).amount_minor

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._same(other).amount_minor

    def __str__(self) -> str:
        return f"{format_minor(self.amount_minor, self.currency)} {self.currency}"

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other


def plain_minor(amount_minor: int, currency: str) -> str:
    """Decimal text for machines, nothing separated: 125000, EUR -> '1250.00'."""
    decimals = exponent(currency)
    return f"{Decimal(amount_minor).scaleb(-decimals):.{decimals}f}"


def format_minor(amount_minor: int, currency: str) -> str:
    """Decimal text with the currency's own number of decimals and thousands separated: 1250, JPY -> '1,250'."""
    decimals = exponent(currency)
    return f"{Decimal(amount_minor).scaleb(-decimals):,.{decimals}f}"
