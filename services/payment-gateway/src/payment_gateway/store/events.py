"""A merchant's view of the outbox: numbered events only, since what has no position yet may still be overtaken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import outbox
from platform_kit.clock import isoformat

_EVENT = outbox.event.fullname
POSITION_OF = text(f"SELECT position FROM {_EVENT} WHERE id = :id AND merchant_id = :merchant_id")  # noqa: S608 - our own table
# event_by_merchant_idx
EVENTS_AFTER = text(
    f"SELECT id, type, aggregate_id, merchant_id, occurred_at, data FROM {_EVENT}"  # noqa: S608 - our own table
    " WHERE merchant_id = :merchant_id AND position > :position ORDER BY position LIMIT :limit"
)


async def position_of(conn: AsyncConnection, merchant_id: str, event_id: str) -> int | None:
    found: int | None = await conn.scalar(POSITION_OF, {"id": event_id, "merchant_id": merchant_id})
    return found


async def after(
    conn: AsyncConnection, merchant_id: str, position: int, limit: int
) -> Sequence[dict[str, Any]]:
    """Envelopes without `position`: a global counter would tell a merchant the platform's volume."""
    rows = await conn.execute(
        EVENTS_AFTER, {"merchant_id": merchant_id, "position": position, "limit": limit}
    )
    return [
        {
            "id": row.id,
            "type": row.type,
            "occurred_at": isoformat(row.occurred_at),
            "aggregate_id": row.aggregate_id,
            "merchant_id": row.merchant_id,
            "data": row.data,
        }
        for row in rows
    ]
