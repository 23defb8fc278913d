"""What channels are to be told, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.ids import new_id

LEASE_S = 60  # longer than an attempt may take and its record: a sender that died gives its deliveries back

ADD = text("""
    INSERT INTO risk.alert_delivery (id, act_id, alert_id, channel, message)
    SELECT id, :act_id, :alert_id, channel, CAST(:message AS jsonb)
    FROM unnest(CAST(:ids AS text[]), CAST(:channels AS text[])) AS new (id, channel)
    ON CONFLICT (act_id, channel) DO NOTHING
""")

# alert_delivery_due_idx: a few of each channel, so that one with a thousand due takes no place from the others.
# Claiming moves due_at on, which is the lease; two senders never pick the same and neither waits.
CLAIM = text("""
    WITH chosen AS (
        SELECT due.id FROM unnest(CAST(:channels AS text[])) AS one (channel) CROSS JOIN LATERAL (
            SELECT d.id FROM risk.alert_delivery d
            WHERE d.channel = one.channel AND d.status = 'due' AND d.due_at <= now()
            ORDER BY d.due_at LIMIT :per_channel FOR UPDATE SKIP LOCKED
        ) AS due
    )
    UPDATE risk.alert_delivery d SET due_at = now() + make_interval(secs => :lease_s), attempts = d.attempts + 1
    FROM chosen WHERE d.id = chosen.id
    RETURNING d.id, d.alert_id, d.channel, d.message, d.attempts
""").columns(message=JSONB)

SETTLE = text("""
    UPDATE risk.alert_delivery
    SET status = CAST(:status AS text), last_error = :error, due_at = now() + CAST(:pause AS interval),
        settled_at = CASE WHEN CAST(:status AS text) <> 'due' THEN now() END
    WHERE id = :id AND status = 'due'
""")

# A channel that is not in the settings any more. alert_delivery_due_idx.
ABANDON = text("""
    UPDATE risk.alert_delivery SET status = 'given_up', last_error = 'no-such-channel', settled_at = now()
    WHERE status = 'due' AND channel <> ALL (CAST(:channels AS text[])) RETURNING channel
""")

FIND = text("""
    SELECT id, alert_id, channel, status, attempts, last_error, created_at, settled_at
    FROM risk.alert_delivery WHERE id = :id
""")

# By alert_delivery_alert_id_idx.
OF_ALERT = text("""
    SELECT id, alert_id, channel, status, attempts, last_error, created_at, settled_at
    FROM risk.alert_delivery WHERE alert_id = :alert_id ORDER BY id LIMIT 200
""")

# Given up lately, by channel: what the other channels are told. Few rows: alerts are rare.
GIVEN_UP = text("""
    SELECT channel, count(*) AS number, max(last_error) AS error FROM risk.alert_delivery
    WHERE status = 'given_up' AND settled_at > :since GROUP BY channel
""")

# Seconds that the oldest due delivery of each channel has waited. alert_delivery_due_idx.
WAITING = text("""
    SELECT CAST(COALESCE(max(EXTRACT(epoch FROM now() - created_at)), 0) AS float8)
    FROM risk.alert_delivery WHERE status = 'due'
""")

PRUNE = text("DELETE FROM risk.alert_delivery WHERE created_at < :before AND status <> 'due'")


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery that this sender has taken; `attempts` counts the one to come."""

    id: str
    alert_id: str | None
    channel: str
    message: dict[str, Any]
    attempts: int


async def add(
    conn: AsyncConnection, act_id: str, alert_id: str | None, channels: Sequence[str], message: dict[str, Any]
) -> None:
    """Make a message due on channels, once per act."""
    if channels:
        values = {
            "ids": [new_id("adl") for _ in channels],
            "act_id": act_id,
            "alert_id": alert_id,
            "channels": list(channels),
            "message": orjson.dumps(message).decode(),
        }
        await conn.execute(ADD, values)


async def add_trial(conn: AsyncConnection, channel: str, message: dict[str, Any]) -> str:
    """A delivery that is about no alert; returns its id."""
    delivery_id = new_id("adl")
    values = {
        "ids": [delivery_id],
        "act_id": delivery_id,
        "alert_id": None,
        "channels": [channel],
        "message": orjson.dumps(message).decode(),
    }
    await conn.execute(ADD, values)
    return delivery_id


async def claim(conn: AsyncConnection, channels: Sequence[str], per_channel: int) -> list[Due]:
    """Take what is due, at most so many of each channel."""
    values = {"channels": list(channels), "per_channel": per_channel, "lease_s": LEASE_S}
    return [Due(**row._mapping) for row in await conn.execute(CLAIM, values)]


async def settle(
    conn: AsyncConnection, delivery_id: str, status: str, error: str | None, pause: timedelta = timedelta(0)
) -> None:
    """What came of an attempt; `due` again after a pause, or over."""
    values = {"id": delivery_id, "status": status, "error": error, "pause": pause}
    await conn.execute(SETTLE, values)


async def abandon(conn: AsyncConnection, channels: Sequence[str]) -> list[str]:
    """Give up what is due on channels other than these; their names, one per delivery."""
    return list((await conn.scalars(ABANDON, {"channels": list(channels)})).all())


async def find(conn: AsyncConnection, delivery_id: str) -> dict[str, Any] | None:
    """One delivery."""
    row = (await conn.execute(FIND, {"id": delivery_id})).first()
    return None if row is None else _delivery(row)


async def of_alert(conn: AsyncConnection, alert_id: str) -> list[dict[str, Any]]:
    """Whom an alert was told to, oldest first."""
    return [_delivery(row) for row in await conn.execute(OF_ALERT, {"alert_id": alert_id})]


async def given_up(conn: AsyncConnection, since: datetime) -> dict[str, tuple[int, str]]:
    """Channels that something was given up on since: how many, and the last error."""
    return {row.channel: (row.number, row.error) for row in await conn.execute(GIVEN_UP, {"since": since})}


async def waiting_s(conn: AsyncConnection) -> float:
    """Age in seconds of the oldest delivery that is due; 0 without one."""
    return float(await conn.scalar(WAITING) or 0.0)


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget settled deliveries made before a time; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount


def _delivery(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "alert_delivery",
        "alert_id": row.alert_id,
        "channel": row.channel,
        "status": row.status,
        "attempts": row.attempts,
        "last_error": row.last_error,
        "created_at": isoformat(row.created_at),
        "settled_at": isoformat(row.settled_at) if row.settled_at else None,
    }
