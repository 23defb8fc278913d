"""Snoozes: not edited but to be ended, numbered in order of commits, so that a process that follows misses none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat

# Changes are numbered under this lock: whoever has seen n missed none below it.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('risk.rule_snooze'))")

# The number of the newest change, by rule_snooze_change_key: what a process compares with every half second.
NEWEST = text("SELECT coalesce(max(change), 0) FROM risk.rule_snooze")

COUNT = text("SELECT count(*) FROM risk.rule_snooze WHERE ended_at IS NULL AND until > :now")

# By rule_snooze_until_idx: bounded by SNOOZES_MAX.
IN_FORCE = text("SELECT rule, entity, until FROM risk.rule_snooze WHERE ended_at IS NULL AND until > :now")

_SHOWN = "id, rule, by_what, entity, assessment_id, until, reason, made_by, made_at, ended_by, ended_at"

ADD = text(f"""
    INSERT INTO risk.rule_snooze (id, change, rule, by_what, entity, assessment_id, until, reason, made_by)
    VALUES (:id, nextval('risk.rule_snooze_change_seq'), :rule, :by_what, :entity, :assessment_id, :until, :reason,
            :made_by)
    RETURNING {_SHOWN}
""")  # noqa: S608 - our own column names

END = text(f"""
    UPDATE risk.rule_snooze SET ended_at = now(), ended_by = :ended_by, change = nextval('risk.rule_snooze_change_seq')
    WHERE id = :id AND ended_at IS NULL RETURNING {_SHOWN}
""")  # noqa: S608

FIND = text(f"SELECT {_SHOWN} FROM risk.rule_snooze WHERE id = :id")  # noqa: S608

# By rule_snooze_pkey.
LIST = text(f"""
    SELECT {_SHOWN} FROM risk.rule_snooze WHERE id < :before ORDER BY id DESC LIMIT :limit
""")  # noqa: S608


async def lock(conn: AsyncConnection) -> None:
    """Wait for others who change snoozes, until the transaction ends."""
    await conn.execute(LOCK)


async def newest_change(conn: AsyncConnection) -> int:
    """The number of the newest change; 0 when there never was one."""
    return int(await conn.scalar(NEWEST) or 0)


async def count(conn: AsyncConnection, now: datetime) -> int:
    """How many are in force."""
    return int(await conn.scalar(COUNT, {"now": now}) or 0)


async def in_force(conn: AsyncConnection, now: datetime) -> dict[tuple[str, str], datetime]:
    """(rule, entity) -> until when; the latest, should there be several."""
    found: dict[tuple[str, str], datetime] = {}
    for row in await conn.execute(IN_FORCE, {"now": now}):
        key = (row.rule, row.entity)
        found[key] = max(row.until, found.get(key, row.until))
    return found


async def add(conn: AsyncConnection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep one; the caller holds the lock."""
    return _object((await conn.execute(ADD, dict(values))).one())


async def end(conn: AsyncConnection, snooze_id: str, by: str) -> dict[str, Any] | None:
    """End one; the first time counts. None for an unknown id. The caller holds the lock."""
    row = (await conn.execute(END, {"id": snooze_id, "ended_by": by})).first()
    if row is None:
        row = (await conn.execute(FIND, {"id": snooze_id})).first()
    return _object(row) if row else None


async def page(conn: AsyncConnection, before: str | None, limit: int) -> Sequence[dict[str, Any]]:
    """Newest first, also those that are over."""
    rows = await conn.execute(LIST, {"before": before or "snz_~", "limit": limit})
    return [_object(row) for row in rows]


def _object(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "snooze",
        "rule": row.rule,
        "by": row.by_what,
        "assessment_id": row.assessment_id,
        "until": isoformat(row.until),
        "reason": row.reason,
        "made_by": row.made_by,
        "made_at": isoformat(row.made_at),
        "ended_by": row.ended_by,
        "ended_at": isoformat(row.ended_at) if row.ended_at else None,
    }
