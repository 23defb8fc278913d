"""How a merchant is settled and paid out, and what it pays for it."""

from __future__ import annotations

from dataclasses import dataclass

from payment_gateway.domain.fees import FeePlan
from payment_gateway.domain.reserve import ReservePlan


@dataclass(frozen=True, slots=True)
class Terms:
    """`settlement_delay_days` 0 = as soon as the job runs; no destination = paid out by hand only."""

    settlement_delay_days: int = 2
    payout_destination: str | None = None
    fee_plan: FeePlan | None = None
    settlement_currency: str | None = None
    """What is available in other currencies is converted to this one; None = each currency for itself."""
    reserve: ReservePlan | None = None
    """What settlements keep back; None = nothing."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How far a merchant's captures of one currency are settled, or the cost of a channel's charges booked. `id` is
    `merchant:<id>:<currency>` or `channel:<name>:<currency>`."""

    id: str
    transfer_id: int
