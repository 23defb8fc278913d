"""Events that gave no facts: kept as received with the reason, while the stream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import quarantine

_COLUMNS = ("stream", "position", "event_id", "type", "payload", "fault", "detail")

SET_ASIDE = insert_many(
    quarantine,
    _COLUMNS,
    """ON CONFLICT (stream, position) DO UPDATE
    SET attempt_count = quarantine.attempt_count + 1, last_seen_at = now(),
        fault = excluded.fault, detail = excluded.detail""",
)
OPEN_SUMMARY = text(
    """
    SELECT count(*) AS open_count, min(first_seen_at) AS oldest_at
    FROM pipeline.quarantine WHERE state = 'open'        -- quarantine_open_idx
    """
)
OPEN_ROWS = text(
    """
    SELECT stream, position, event_id, type, fault, detail, attempt_count, first_seen_at
    FROM pipeline.quarantine WHERE state = 'open' ORDER BY first_seen_at, id LIMIT :limit
    """
)


@dataclass(frozen=True, slots=True)
class SetAside:
    """One event as received (`payload`, text) and why it gave no facts."""

    stream: str
    position: int
    event_id: str | None
    type: str | None
    payload: str
    fault: str
    detail: str


async def set_aside(conn: AsyncConnection, events: Sequence[SetAside]) -> None:
    await conn.execute(SET_ASIDE, arrays(events, _COLUMNS))


async def open_summary(conn: AsyncConnection) -> tuple[int, datetime | None]:
    """How many wait for a person, and since when the oldest does."""
    row = (await conn.execute(OPEN_SUMMARY)).one()
    return int(row.open_count), row.oldest_at


async def open_rows(conn: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(OPEN_ROWS, {"limit": limit})).mappings()]
