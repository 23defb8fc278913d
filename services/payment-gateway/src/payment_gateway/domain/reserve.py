"""The rolling reserve: a share of what a merchant settles, kept back for some days against refunds and disputes that
come when it has no more to pay them from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from payment_gateway.domain.fees import BASIS_POINTS, half_even
from platform_kit.clock import isoformat

DAYS_MAX: Final = 365


@dataclass(frozen=True, slots=True)
class ReservePlan:
    """`basis_points` (1 to 10,000) of what is settled are kept back for `days` (1 to DAYS_MAX)."""

    basis_points: int
    days: int

    def share_minor(self, settled_minor: int, available_minor: int) -> int:
        """What is kept back of `settled_minor`, rounded half-even, when `available_minor` is available with it.

        At most what is available, and 0 of a debt: a reserve is not filled with money that the merchant does not have.
        """
        share = half_even(max(0, settled_minor) * self.basis_points, BASIS_POINTS)
        return min(share, max(0, available_minor))


@dataclass(frozen=True, slots=True)
class Reserve:
    """What one settlement kept back. When it is released was agreed then: a later plan does not move it."""

    id: str
    merchant_id: str
    currency: str
    amount_minor: int
    created_at: datetime
    release_at: datetime
    released_at: datetime | None = None


def held(
    reserve_id: str, merchant_id: str, currency: str, amount_minor: int, plan: ReservePlan, now: datetime
) -> Reserve:
    """A share that a settlement keeps back now."""
    return Reserve(reserve_id, merchant_id, currency, amount_minor, now, now + timedelta(days=plan.days))


def is_due(reserve: Reserve, now: datetime) -> bool:
    """Whether it may be released: once, and not early."""
    return reserve.released_at is None and reserve.release_at <= now


def released(reserve: Reserve, now: datetime) -> Reserve:
    return replace(reserve, released_at=now)


def reserve_object(reserve: Reserve) -> dict[str, Any]:
    """What is shown of a reserve."""
    return {
        "id": reserve.id,
        "object": "reserve",
        "amount_minor": reserve.amount_minor,
        "currency": reserve.currency,
        "created_at": isoformat(reserve.created_at),
        "release_at": isoformat(reserve.release_at),
        "released_at": isoformat(reserve.released_at) if reserve.released_at else None,
    }
