"""Alerts and events that could not be applied."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.outbox import Event

ADD = text("""
    INSERT INTO risk.alert (id, kind, slot_at, details) VALUES (:id, :kind, :slot_at, CAST(:details AS jsonb))
    ON CONFLICT (kind, slot_at) DO NOTHING RETURNING id
""")

LAST = text("SELECT max(slot_at) FROM risk.alert WHERE kind = :kind")

NEWEST = text(
    "SELECT id, kind, slot_at, details, raised_at FROM risk.alert ORDER BY id DESC LIMIT :limit"
).columns(details=JSONB)

PRUNE = text("DELETE FROM risk.alert WHERE raised_at < :before")

QUARANTINE = text("""
    INSERT INTO risk.quarantined_event (event_id, envelope, error) VALUES (:event_id, CAST(:envelope AS jsonb), :error)
    ON CONFLICT (event_id) DO NOTHING
""")


async def add(
    conn: AsyncConnection, alert_id: str, kind: str, slot_at: datetime, details: dict[str, Any]
) -> bool:
    """Store an alert; False when this kind was raised for the slot before."""
    values = {"id": alert_id, "kind": kind, "slot_at": slot_at, "details": orjson.dumps(details).decode()}
    return await conn.scalar(ADD, values) is not None


async def last_slot(conn: AsyncConnection, kind: str) -> datetime | None:
    """The newest slot that an alert of this kind was raised for."""
    found: datetime | None = await conn.scalar(LAST, {"kind": kind})
    return found


async def newest(conn: AsyncConnection, limit: int) -> Sequence[dict[str, Any]]:
    """The newest alerts."""
    return [
        {
            "id": row.id,
            "object": "alert",
            "kind": row.kind,
            "slot_at": isoformat(row.slot_at),
            "details": row.details,
            "raised_at": isoformat(row.raised_at),
        }
        for row in await conn.execute(NEWEST, {"limit": limit})
    ]


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget alerts raised before a time; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount


async def quarantine(conn: AsyncConnection, event: Event, error: Exception) -> None:
    """Keep an event that could not be applied, with what it raised."""
    values = {
        "event_id": event.id,
        "envelope": orjson.dumps(event.envelope()).decode(),
        "error": repr(error)[:1000],
    }
    await conn.execute(QUARANTINE, values)
