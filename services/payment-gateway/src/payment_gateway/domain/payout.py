"""A payout: a merchant's available balance on its way to a bank account. Its states are data.

The amount leaves `available` when the payout is created. While the bank's answer is missing the payout stays
`in_transit`: it is asked again under the same key, and never made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Posting
from payment_gateway.domain.moves import moved
from platform_kit.clock import isoformat


class PayoutStatus(StrEnum):
    PENDING = "pending"  # not sent: may be cancelled
    IN_TRANSIT = "in_transit"  # sent, or about to be: only the bank's word ends it
    PAID = "paid"
    FAILED = "failed"  # the bank refused it
    RETURNED = "returned"  # the receiving bank sent it back
    CANCELLED = "cancelled"


class PayoutEvent(StrEnum):
    SEND = "send"
    PAY = "pay"
    FAIL = "fail"
    RETURN = "return"
    CANCEL = "cancel"


_S, _E = PayoutStatus, PayoutEvent

TRANSITIONS: Final[Mapping[tuple[PayoutStatus, PayoutEvent], PayoutStatus]] = MappingProxyType(
    {
        (_S.PENDING, _E.SEND): _S.IN_TRANSIT,
        (_S.PENDING, _E.CANCEL): _S.CANCELLED,
        (_S.IN_TRANSIT, _E.PAY): _S.PAID,
        (_S.IN_TRANSIT, _E.FAIL): _S.FAILED,
        (_S.PAID, _E.RETURN): _S.RETURNED,
    }
)
"""(from, event) -> to. docs/states.md is drawn from this table."""

FINAL: Final = frozenset({_S.FAILED, _S.RETURNED, _S.CANCELLED})


@dataclass(frozen=True, slots=True)
class Payout:
    """`amount_minor` of `currency`, to the bank account behind the token `destination`."""

    id: str
    merchant_id: str
    amount_minor: int
    currency: str
    destination: str
    status: PayoutStatus
    created_at: datetime
    updated_at: datetime
    slot: str | None = None
    """The day that a scheduled payout is for; None = asked for by hand."""
    failure_code: str | None = None
    tries: int = 0
    due_at: datetime | None = None
    """When the bank is asked (again); None = nothing left to find out."""
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What its merchant says of it, where it was asked for by hand."""


@dataclass(frozen=True, slots=True)
class PayoutChange:
    payout: Payout
    postings: tuple[Posting, ...]
    event: str


def created(payout: Payout) -> PayoutChange:
    """A new payout takes its amount out of the available balance at once."""
    lines = postings.payout_created(payout.merchant_id, payout.currency, payout.amount_minor)
    return PayoutChange(payout, lines, "payout.created.v1")


def advanced(payout: Payout, event: PayoutEvent, at: datetime, **changes: Any) -> PayoutChange:
    """The payout after `event`. Raises IllegalMove for a pair that is not in the table."""
    to = moved("payout", TRANSITIONS, payout.status, event)
    after = replace(payout, status=to, updated_at=at, **changes)
    post = _POSTINGS.get(to)
    lines = post(payout.merchant_id, payout.currency, payout.amount_minor) if post else ()
    return PayoutChange(after, lines, f"payout.{to}.v1")


_POSTINGS: Final = {
    _S.PAID: postings.payout_paid,
    _S.FAILED: postings.payout_undone,
    _S.CANCELLED: postings.payout_undone,
    _S.RETURNED: postings.payout_returned,
}


def payout_object(payout: Payout) -> dict[str, Any]:
    """What a merchant sees of a payout."""
    return {
        "id": payout.id,
        "object": "payout",
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
        "destination": payout.destination,
        "status": payout.status,
        "slot": payout.slot,
        "failure_code": payout.failure_code,
        "description": payout.description,
        "metadata": payout.metadata,
        "created_at": isoformat(payout.created_at),
        "updated_at": isoformat(payout.updated_at),
    }
