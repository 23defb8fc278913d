"""What was agreed with a channel: its fee for a line, and which differences are rounding rather than breaks."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from data_pipeline.domain.settlement import SettlementType
from platform_kit.money import CURRENCIES, exponent

TOLERANCE_MAX: Final = 100  # minor units; more than that is no rounding


class Cause(StrEnum):
    """Why two amounts of one operation may differ by a little."""

    FX_ROUNDING = "fx_rounding"
    """The channel converted, and rounded the amount."""
    FEE_ROUNDING = "fee_rounding"
    """The channel rounds its fee in another place than the plan does."""


class BadTerms(ValueError):
    """The terms cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """The fee plan of a channel, and its tolerances: cause -> currency -> minor units."""

    fee_basis_points: int
    fee_fixed_minor: Mapping[int, int]
    """Decimals of the currency -> fixed part of the fee in its minor units."""
    tolerance_minor: Mapping[Cause, Mapping[str, int]] = field(default_factory=dict)

    def fee_minor(self, kind: SettlementType, amount_minor: int, currency: str) -> int:
        """What the channel keeps of a line: a share, rounded half up, and a fixed part; nothing of a refund."""
        if kind is not SettlementType.CHARGE:
            return 0
        share = (amount_minor * self.fee_basis_points + 5_000) // 10_000
        return share + self.fee_fixed_minor.get(exponent(currency), 0)

    def tolerates(self, cause: Cause, difference_minor: int, currency: str) -> bool:
        return abs(difference_minor) <= self.tolerance_minor.get(cause, {}).get(currency, 0)


def read_terms(text: str) -> dict[str, ChannelTerms]:
    """Channel -> terms, from TOML as in channel_terms.toml. Raises BadTerms."""
    try:
        return {channel: _terms(body) for channel, body in tomllib.loads(text).items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadTerms(f"The terms of channels cannot be read: {error!r}") from error


def _terms(body: Mapping[str, Any]) -> ChannelTerms:
    fee = body["fee"]
    tolerance = {
        Cause(cause): {_currency(code): _small(minor) for code, minor in by_currency.items()}
        for cause, by_currency in body.get("tolerance", {}).items()
    }
    fixed = {int(decimals): int(minor) for decimals, minor in fee.get("fixed_minor", {}).items()}
    return ChannelTerms(int(fee.get("basis_points", 0)), fixed, tolerance)


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError(f"{code} is not a currency")
    return code


def _small(minor: int) -> int:
    if not 0 <= minor <= TOLERANCE_MAX:
        raise ValueError(f"a tolerance is between 0 and {TOLERANCE_MAX} minor units")
    return minor
