"""Events that gave no facts: kept as received with the reason, while the stream goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
_SHOWN = """id, stream, position, event_id, type, fault, detail, attempt_count, first_seen_at, last_seen_at, state,
    outcome, resolved_at, resolved_by, reason"""
_CHOSEN = """(CAST(:ids AS bigint[]) IS NULL OR id = ANY(:ids))
      AND (CAST(:stream AS text) IS NULL OR stream = :stream)
      AND (CAST(:first_position AS bigint) IS NULL OR position >= :first_position)
      AND (CAST(:last_position AS bigint) IS NULL OR position <= :last_position)
      AND (CAST(:type AS text) IS NULL OR type = :type)
      AND (CAST(:fault AS text) IS NULL OR fault = :fault)
      AND (CAST(:seen_before AS timestamptz) IS NULL OR last_seen_at < :seen_before)"""
PAGE = text(
    f"""
    SELECT {_SHOWN} FROM pipeline.quarantine
    WHERE (CAST(:state AS text) IS NULL OR state = :state) AND id > :after AND {_CHOSEN}
    ORDER BY id LIMIT :limit                             -- quarantine_state_idx, or the primary key
    """  # noqa: S608 - columns and conditions of our own
)
ONE = text(f"SELECT {_SHOWN}, payload FROM pipeline.quarantine WHERE id = :id")  # noqa: S608
OPEN_CHOSEN = text(
    f"""
    SELECT id, stream, position, payload FROM pipeline.quarantine
    WHERE state = 'open' AND {_CHOSEN} ORDER BY attempt_count, stream, position LIMIT :limit
    """  # noqa: S608
)
# Positions and ids come before their COMMITs, so no bound says which rows somebody saw; the ids themselves do.
OPEN_IDS = text(
    f"SELECT id FROM pipeline.quarantine WHERE state = 'open' AND {_CHOSEN} ORDER BY id LIMIT :limit"  # noqa: S608
)  # quarantine_state_idx
COUNT_OPEN_CHOSEN = text(f"SELECT count(*) FROM pipeline.quarantine WHERE state = 'open' AND {_CHOSEN}")  # noqa: S608
STATES = text("SELECT id, state FROM pipeline.quarantine WHERE id = ANY(:ids)")
LOCK_OPEN = text("SELECT true FROM pipeline.quarantine WHERE id = :id AND state = 'open' FOR UPDATE")
REPLAYED = text(
    """
    UPDATE pipeline.quarantine
    SET state = 'replayed', outcome = :outcome, resolved_at = now(), resolved_by = :actor, reason = :reason,
        attempt_count = attempt_count + 1, last_seen_at = now()
    WHERE id = :id AND state = 'open'
    """
)
REFUSED_AGAIN = text(
    """
    UPDATE pipeline.quarantine
    SET outcome = 'refused', fault = :fault, detail = :detail, attempt_count = attempt_count + 1, last_seen_at = now()
    WHERE id = :id AND state = 'open'
    """
)
NOW = text("SELECT clock_timestamp()")
GROUPS = text(
    """
    WITH looked_at AS (
        SELECT id, stream, type, fault, first_seen_at, attempt_count, position FROM pipeline.quarantine
        WHERE state = 'open' ORDER BY first_seen_at LIMIT :looked_at             -- quarantine_open_idx
    ), grouped AS (
        SELECT stream, type, fault, count(*) AS event_count, min(first_seen_at) AS oldest_at,
               max(attempt_count) AS attempts_max, min(position) AS first_position, max(position) AS last_position,
               min(id) AS sample_id
        FROM looked_at GROUP BY stream, type, fault ORDER BY oldest_at LIMIT :limit
    )
    SELECT grouped.*, detail FROM grouped JOIN pipeline.quarantine ON id = sample_id ORDER BY oldest_at
    """
)
DISCARD = text(
    f"""
    UPDATE pipeline.quarantine SET state = 'discarded', resolved_at = now(), resolved_by = :actor, reason = :reason
    WHERE state = 'open' AND {_CHOSEN} RETURNING id
    """  # noqa: S608
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


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which quarantined events: those that fit every member that is not None. `ids` are rows of the table."""

    ids: tuple[int, ...] | None = None
    stream: str | None = None
    first_position: int | None = None
    last_position: int | None = None
    type: str | None = None
    fault: str | None = None
    seen_before: datetime | None = None
    """Not set aside, nor tried, since then: what somebody saw on a page, and one round of a replay in steps."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it: `seen_before` is a moment, not a choice."""
        return replace(self, seen_before=None) == Chosen()


def digest_of(ids: Sequence[int]) -> str:
    """Names a set of rows, however many; `ids` ascend."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open row: `payload` is the event as received, JSON text."""

    id: int
    stream: str
    position: int
    payload: str


async def page(
    conn: AsyncConnection, chosen: Chosen, state: str | None, after: int, limit: int
) -> list[dict[str, Any]]:
    """Rows above the id `after`, oldest first, without their payloads."""
    values = _values(chosen) | {"state": state, "after": after, "limit": limit}
    return [dict(row) for row in (await conn.execute(PAGE, values)).mappings()]


async def one(conn: AsyncConnection, row_id: int) -> dict[str, Any] | None:
    """One row with the event as received."""
    row = (await conn.execute(ONE, {"id": row_id})).mappings().one_or_none()
    return dict(row) if row else None


async def waiting(conn: AsyncConnection, chosen: Chosen, limit: int) -> list[Waiting]:
    """Open rows in the order of their positions, stream by stream.

    When there are more than `limit`, those with the fewest attempts: what is refused each time keeps nobody waiting.
    """
    result = await conn.execute(OPEN_CHOSEN, _values(chosen) | {"limit": limit})
    return sorted((Waiting(*row) for row in result), key=lambda row: (row.stream, row.position))


async def count_waiting(conn: AsyncConnection, chosen: Chosen) -> int:
    return int(await conn.scalar(COUNT_OPEN_CHOSEN, _values(chosen)) or 0)


async def open_ids(conn: AsyncConnection, chosen: Chosen, limit: int) -> list[int]:
    """What is open of these, in the order of their ids, up to `limit`."""
    return list(await conn.scalars(OPEN_IDS, _values(chosen) | {"limit": limit}))


async def states(conn: AsyncConnection, ids: Sequence[int]) -> dict[int, str]:
    """The state of each of these rows that exists."""
    return {row.id: row.state for row in await conn.execute(STATES, {"ids": list(ids)})}


async def lock_open(conn: AsyncConnection, row_id: int) -> bool:
    """Keep the row until the transaction ends; False when somebody has resolved it meanwhile."""
    return bool(await conn.scalar(LOCK_OPEN, {"id": row_id}))


async def mark_replayed(
    conn: AsyncConnection, row_id: int, outcome: str, actor: str, reason: str | None
) -> None:
    await conn.execute(REPLAYED, {"id": row_id, "outcome": outcome, "actor": actor, "reason": reason})


async def mark_refused(conn: AsyncConnection, row_id: int, fault: str, detail: str) -> None:
    """The row stays open, with one attempt more and the newest reason."""
    await conn.execute(REFUSED_AGAIN, {"id": row_id, "fault": fault, "detail": detail})


async def now(conn: AsyncConnection) -> datetime:
    """By the clock that writes `last_seen_at`."""
    found: datetime = await conn.scalar(NOW)
    return found


async def groups(conn: AsyncConnection, limit: int, looked_at: int) -> list[dict[str, Any]]:
    """The `looked_at` oldest of what is open, by stream, type and reason; each with one event as a sample."""
    values = {"limit": limit, "looked_at": looked_at}
    return [dict(row) for row in (await conn.execute(GROUPS, values)).mappings()]


async def discard(conn: AsyncConnection, chosen: Chosen, actor: str, reason: str) -> list[int]:
    """Close what is open of these, without effect; the ids that were."""
    values = _values(chosen) | {"actor": actor, "reason": reason}
    return sorted((await conn.execute(DISCARD, values)).scalars())


def _values(chosen: Chosen) -> dict[str, Any]:
    values = asdict(chosen)
    return values | {"ids": None if chosen.ids is None else list(chosen.ids)}
