"""A refund: asked for, then succeeded or failed; its amount is reserved on the payment from the first moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from payment_gateway.domain.payment import RefundParts


class RefundStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of a payment, in minor units of the payment's currency."""

    id: str
    payment_id: str
    merchant_id: str
    amount_minor: int
    currency: str
    created_at: datetime
    status: RefundStatus = RefundStatus.PENDING
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    fee_returned_minor: int = 0
    """What it gives back of the fees of its payment's captures, once it has succeeded."""
    surcharge_minor: int = 0
    """The part of it that is surcharge: in proportion to what it refunds."""
    failure_code: str | None = None
    """Why it failed, in the channel's word."""

    @property
    def parts(self) -> RefundParts:
        """What it has reserved of its payment."""
        return RefundParts(self.amount_minor, self.fee_returned_minor, self.surcharge_minor)

    def settled(self, status: RefundStatus, failure_code: str | None = None) -> Refund:
        """The refund with its final status; a settled one never changes again."""
        assert self.status is RefundStatus.PENDING, "only a pending refund settles"
        return replace(self, status=status, failure_code=failure_code)
