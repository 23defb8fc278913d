"""Suspense: what a channel's settlement file has and nobody can explain, until somebody can."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import AccountName, Posting, channel_receivable
from payment_gateway.domain.moves import IllegalMove
from platform_kit.clock import isoformat


class Direction(StrEnum):
    RECEIVED = "received"  # the channel pays us more than we know why
    TAKEN = "taken"  # it pays us less


class Target(StrEnum):
    """Whose it turned out to be."""

    CHANNEL = "channel"  # its own mistake: it puts it right
    COSTS = "costs"  # a fee of its
    PLATFORM = "platform"  # written off, or kept
    MERCHANT = "merchant"


class SuspenseStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class Act(StrEnum):
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Suspense:
    """`amount_minor` > 0 of `currency`; `reference` names the line or the break that it is about."""

    id: str
    channel: str
    reference: str
    direction: Direction
    amount_minor: int
    currency: str
    note: str
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_to: Target | None = None
    resolved_merchant: str | None = None
    resolution: str | None = None

    @property
    def status(self) -> SuspenseStatus:
        return SuspenseStatus.RESOLVED if self.resolved_at else SuspenseStatus.OPEN


def suspense_id(channel: str, reference: str) -> str:
    """Always the same for a channel's line: who books it twice at once locks one and the same id."""
    return "sus_" + hashlib.blake2b(f"{channel} {reference}".encode(), digest_size=13).hexdigest()


def is_same(known: Suspense, wanted: Suspense) -> bool:
    """Whether a repeated booking of a line says what the first did."""
    return (known.direction, known.amount_minor, known.currency) == (
        wanted.direction,
        wanted.amount_minor,
        wanted.currency,
    )


def booking(item: Suspense) -> tuple[Posting, ...]:
    """Between the channel and suspense: what the channel owes is now what its file says."""
    receivable = channel_receivable(item.channel, item.currency)
    return _between(item, receivable, postings.platform_account("suspense", item.currency))


def resolved(item: Suspense, to: Target, merchant_id: str | None, note: str, at: datetime) -> Suspense:
    """Once. Raises IllegalMove."""
    if item.resolved_at is not None:
        raise IllegalMove("suspense item", item.status, Act.RESOLVE, [])
    return replace(item, resolved_at=at, resolved_to=to, resolved_merchant=merchant_id, resolution=note)


def resolution(item: Suspense, to: Target, merchant_id: str | None) -> tuple[Posting, ...]:
    """Out of suspense, to whom it belongs; may leave a merchant's `available` below zero, as a refund may."""
    match to:
        case Target.CHANNEL:
            target = channel_receivable(item.channel, item.currency)
        case Target.COSTS:
            target = postings.platform_account("scheme_fees", item.currency)
        case Target.PLATFORM:
            target = postings.platform_account("fees", item.currency)
        case Target.MERCHANT:
            target = postings.merchant_account(str(merchant_id), "available", item.currency)
    return _between(item, postings.platform_account("suspense", item.currency), target)


def _between(item: Suspense, source: AccountName, target: AccountName) -> tuple[Posting, ...]:
    if item.direction is Direction.TAKEN:
        source, target = target, source
    return (Posting(source, target, item.amount_minor),)


def suspense_object(item: Suspense) -> dict[str, Any]:
    """What the administrator sees of it."""
    return {
        "id": item.id,
        "object": "suspense",
        "status": item.status,
        "channel": item.channel,
        "reference": item.reference,
        "direction": item.direction,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
        "note": item.note,
        "resolved_to": item.resolved_to,
        "merchant_id": item.resolved_merchant,
        "resolution": item.resolution,
        "created_at": isoformat(item.created_at),
        "resolved_at": isoformat(item.resolved_at) if item.resolved_at else None,
    }
