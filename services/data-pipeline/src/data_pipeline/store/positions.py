"""How far each stream was read, and how far it goes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

NOTE_HEAD = text(
    """
    INSERT INTO pipeline.stream_head (stream, head, checked_at) VALUES (:stream, :head, :at)
    ON CONFLICT (stream) DO UPDATE SET head = excluded.head, checked_at = excluded.checked_at
    """
)
READ_POSITIONS = text(
    """
    SELECT c.stream, c.position, h.head, h.checked_at, e.occurred_at AS event_at
    FROM pipeline.consumer_cursor c
    LEFT JOIN pipeline.stream_head h USING (stream)
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM pipeline.stored_event s
        WHERE s.stream = c.stream AND s.position <= c.position ORDER BY s.position DESC LIMIT 1
    ) e ON true
    WHERE c.consumer = :consumer ORDER BY c.stream
    """
)


LOCK_CURSOR = text(
    "SELECT position FROM pipeline.consumer_cursor WHERE consumer = :consumer AND stream = :stream FOR UPDATE"
)


async def lock_cursor(conn: AsyncConnection, consumer: str, stream: str) -> None:
    """Until the transaction ends nobody else writes facts of this stream: its consumer moves this row first."""
    await conn.execute(LOCK_CURSOR, {"consumer": consumer, "stream": stream})


async def note_head(conn: AsyncConnection, stream: str, head: int, at: datetime) -> None:
    """Remember what the stream's owner said of its end."""
    await conn.execute(NOTE_HEAD, {"stream": stream, "head": head, "at": at})


async def read(conn: AsyncConnection, consumer: str) -> list[dict[str, Any]]:
    """Per stream: our position, the owner's head and when it was asked, the time of our last event."""
    return [dict(row) for row in (await conn.execute(READ_POSITIONS, {"consumer": consumer})).mappings()]
