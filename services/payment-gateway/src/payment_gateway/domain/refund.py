"""A refund: asked for, then succeeded or failed; its amount is reserved on the payment from the first moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


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

    def settled(self, status: RefundStatus) -> Refund:
        """The refund with its final status; a settled one never changes again."""
        assert self.status is RefundStatus.PENDING, "only a pending refund settles"
        return replace(self, status=status)
