"""Which payments a person wants to see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from platform_kit.money import AMOUNT_MAX, CURRENCIES


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """None lets everything through. Amounts are in units of the currency (12.50), as a person says them; times are
    [since, until)."""

    status: str | None = None
    channel: str | None = None
    method: str | None = None
    currency: str | None = None
    merchant_id: str | None = None
    decision: str | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AmountRange:
    """The same amount in units is another number of minor units where a currency has other decimals."""

    currencies: list[str]
    low_minor: int
    high_minor: int


def amount_ranges(wanted: PaymentFilter) -> Iterator[AmountRange]:
    """Minor units by number of decimals, for the filter's currency or for all; none without an amount."""
    if wanted.amount_min is None and wanted.amount_max is None:
        return
    groups: dict[int, list[str]] = defaultdict(list)
    for code, decimals in CURRENCIES.items():
        if wanted.currency in (None, code):
            groups[decimals].append(code)
    for decimals, codes in sorted(groups.items()):
        low = wanted.amount_min or Decimal(0)
        high = Decimal(AMOUNT_MAX) if wanted.amount_max is None else wanted.amount_max.scaleb(decimals)
        # Rounded inwards: 12.505 euro is no amount, so from there on means from 12.51.
        low_minor = low.scaleb(decimals).to_integral_value(ROUND_CEILING)
        yield AmountRange(codes, int(low_minor), int(high.to_integral_value(ROUND_FLOOR)))
