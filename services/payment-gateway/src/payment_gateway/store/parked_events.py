"""Reports of channels that wait for what they are about: parked durably, claimed again and again, never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import parked_event as table

INSERT_PARKED = text(
    f"INSERT INTO {table.fullname} (channel, event_id, body, reason)"  # noqa: S608 - our own table name
    " VALUES (:channel, :event_id, CAST(:body AS jsonb), :reason) ON CONFLICT (channel, event_id) DO NOTHING"
)
# parked_event_due_idx. Tried every second at first, in the end every hour, for ever.
CLAIM_DUE_PARKED = text(
    f"UPDATE {table.fullname} SET tries = LEAST(tries + 1, 1000),"  # noqa: S608 - our own table name
    " due_at = now() + make_interval(secs => LEAST(3600, power(1.5, LEAST(tries, 30))))"
    f" WHERE (channel, event_id) IN (SELECT channel, event_id FROM {table.fullname} WHERE due_at <= now()"
    " ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING channel, event_id, body::text AS body"
)
SET_REASON = text(
    f"UPDATE {table.fullname} SET reason = :reason WHERE channel = :channel AND event_id = :event_id"  # noqa: S608
)
DELETE_PARKED = text(f"DELETE FROM {table.fullname} WHERE channel = :channel AND event_id = :event_id")  # noqa: S608
COUNT_PARKED = text(
    "SELECT count(*) AS parked, COALESCE(EXTRACT(epoch FROM now() - min(parked_at)), 0) AS oldest_s"  # noqa: S608
    f" FROM {table.fullname}"
)


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A report as it was received and verified."""

    channel: str
    event_id: str
    body: bytes


async def park(conn: AsyncConnection, event: ParkedEvent, reason: str) -> None:
    """Keep a report that has no effect yet; `channel_event` gets it with the effect that it has in the end. The unique
    index decides about duplicates."""
    named = {"channel": event.channel, "event_id": event.event_id, "body": event.body.decode()}
    await conn.execute(INSERT_PARKED, {**named, "reason": reason})


async def claim_due(conn: AsyncConnection, limit: int) -> Sequence[ParkedEvent]:
    """Reports to try again now; each goes to one worker."""
    found = await conn.execute(CLAIM_DUE_PARKED, {"limit": limit})
    return [ParkedEvent(row.channel, row.event_id, row.body.encode()) for row in found]


async def wait_for(conn: AsyncConnection, event: ParkedEvent, reason: str) -> None:
    """Say anew what a parked report waits for."""
    await conn.execute(SET_REASON, {"channel": event.channel, "event_id": event.event_id, "reason": reason})


async def unpark(conn: AsyncConnection, event: ParkedEvent) -> None:
    """The report has had its effect."""
    await conn.execute(DELETE_PARKED, {"channel": event.channel, "event_id": event.event_id})


async def waiting(conn: AsyncConnection) -> tuple[int, float]:
    """How many are parked, and the age in seconds of the oldest."""
    row = (await conn.execute(COUNT_PARKED)).one()
    return row.parked, float(row.oldest_s)
