"""Where exchange rates come from: a port, and the sandbox's own table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol

from payment_gateway.domain.fx import Rate

SANDBOX_AT: Final = datetime(2026, 11, 2, tzinfo=UTC)
PER_EURO: Final = {
    "EUR": 1_000_000,
    "USD": 1_082_500,
    "GBP": 842_300,
    "CHF": 941_100,
    "JPY": 163_450_000,
    "KRW": 1_492_000_000,
    "KWD": 331_700,
    "BHD": 408_100,
    "SEK": 11_305_000,
    "PLN": 4_305_000,
}
"""Millionths of a unit for one euro: invented, and always the same, so that a sandbox's sums can be checked."""


class Rates(Protocol):
    """The port."""

    def rate(self, sell: str, buy: str) -> Rate | None:
        """None for a pair that is not quoted: then nothing is converted."""
        ...


class SandboxRates:
    """The packaged table, crossed through the euro."""

    def rate(self, sell: str, buy: str) -> Rate | None:
        if sell not in PER_EURO or buy not in PER_EURO:
            return None
        return Rate(sell, buy, PER_EURO[buy], PER_EURO[sell], "sandbox", SANDBOX_AT)
