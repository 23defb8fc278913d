"""The event store: every event as it came, and the inbox that makes its effects happen once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import stored_event

_COLUMNS = (
    "stream",
    "position",
    "event_id",
    "type",
    "aggregate_id",
    "merchant_id",
    "occurred_at",
    "received_at",
    "payload",
)

INSERT_EVENTS = insert_many(stored_event, _COLUMNS, "ON CONFLICT DO NOTHING RETURNING position")

TIMELINE = text(
    """
    SELECT stream, position, event_id, type, aggregate_id, occurred_at, received_at, payload
    FROM pipeline.stored_event
    WHERE aggregate_id = ANY(:aggregate_ids)             -- stored_event_aggregate_id_position_idx
    ORDER BY occurred_at, stream, position
    LIMIT :limit
    """
)
COUNT_MORE = text(
    """
    INSERT INTO pipeline.event_count AS kept (stream, stored, rolled_up) VALUES (:stream, :stored, :stored)
    ON CONFLICT (stream) DO UPDATE
    SET stored = kept.stored + excluded.stored, rolled_up = kept.rolled_up + excluded.rolled_up
    """
)
ARE_ROLLED_UP = text("SELECT stored = rolled_up FROM pipeline.event_count WHERE stream = :stream")
MARK_ROLLED_UP = text("UPDATE pipeline.event_count SET rolled_up = stored WHERE stream = :stream")
COUNT_EVENTS = text("SELECT sum(stored)::bigint FROM pipeline.event_count")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event to keep; `payload` is its JSON text."""

    stream: str
    position: int
    event_id: str
    type: str
    aggregate_id: str
    merchant_id: str | None
    occurred_at: datetime
    received_at: datetime
    payload: str


async def insert(conn: AsyncConnection, stream: str, events: Sequence[StoredEvent]) -> set[int]:
    """Keep these events of one stream; the positions that were new here. Only those may have effects."""
    result = await conn.execute(INSERT_EVENTS, arrays(events, _COLUMNS))
    new = set(result.scalars())
    if new:
        await conn.execute(COUNT_MORE, {"stream": stream, "stored": len(new)})
    return new


async def timeline(conn: AsyncConnection, aggregate_ids: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Events of these aggregates by time."""
    result = await conn.execute(TIMELINE, {"aggregate_ids": list(aggregate_ids), "limit": limit})
    return [dict(row) for row in result.mappings()]


async def are_rolled_up(conn: AsyncConnection, stream: str) -> bool:
    """Whether every stored event of this stream was stored by a release that keeps all roll-ups that there are."""
    return await conn.scalar(ARE_ROLLED_UP, {"stream": stream}) in (True, None)  # None: nothing is stored


async def mark_rolled_up(conn: AsyncConnection, stream: str) -> None:
    """All roll-ups have all stored events of this stream in them."""
    await conn.execute(MARK_ROLLED_UP, {"stream": stream})


async def count(conn: AsyncConnection) -> int:
    """Events stored, of all streams."""
    return int(await conn.scalar(COUNT_EVENTS) or 0)
