"""Attempts that were recorded together, as one event: a busy minute costs the outbox a few rows, not one an attempt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from payment_gateway.store.webhooks import AttemptRecord, DueDelivery
from platform_kit.ids import new_id
from platform_kit.outbox import Event

ATTEMPTED: Final = "webhook_delivery.attempted.v1"


def attempts_event(attempts: Iterable[tuple[DueDelivery, AttemptRecord]], at: datetime) -> Event:
    """The platform's own: an event that a merchant's endpoint was sent would tell of its own delivery for ever."""
    told = [_told(delivery, record) for delivery, record in attempts]
    return Event(
        id=new_id("evt"),
        type=ATTEMPTED,
        aggregate_id="platform:webhooks",
        merchant_id=None,
        data={"attempts": told},
        occurred_at=at,
    )


def _told(delivery: DueDelivery, record: AttemptRecord) -> dict[str, Any]:
    """Neither address nor content: who was tried about what, how it ended, how long it took."""
    return {
        "delivery_id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "merchant_id": delivery.event.merchant_id,
        "event_id": delivery.event.id,
        "event_type": delivery.event.type,
        "cycle": record.cycle,
        "number": record.number,
        "status": record.status,
        "status_code": record.status_code,
        "error": record.error,
        "duration_ms": round(record.seconds * 1000),
        "waited_ms": round(max(delivery.first.age_s, 0) * 1000) if delivery.first else None,
    }
