"""Operators, their sessions, and attempts to log in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.operators import Operator, Role

ADD = text(
    """
    INSERT INTO pipeline.operator (name, role, password_hash) VALUES (:name, :role, :password_hash)
    ON CONFLICT DO NOTHING
    """
)
CHANGE = text(
    """
    UPDATE pipeline.operator SET role = coalesce(:role, role),
           password_hash = coalesce(:password_hash, password_hash),
           disabled_at = CASE WHEN :is_disabled THEN coalesce(disabled_at, now()) END
    WHERE name = :name
    """
)
LIST = text(
    """
    SELECT o.name, o.role, o.created_at, o.disabled_at, l.at AS logged_in_at
    FROM pipeline.operator o LEFT JOIN LATERAL (
        SELECT at FROM pipeline.operator_login WHERE name = o.name AND succeeded ORDER BY at DESC LIMIT 1
    ) l ON true ORDER BY o.name
    """
)
PASSWORD_OF = text("SELECT password_hash FROM pipeline.operator WHERE name = :name AND disabled_at IS NULL")
ENABLED = text("SELECT name, role FROM pipeline.operator WHERE name = :name AND disabled_at IS NULL")
NOTE_LOGIN = text(
    """
    INSERT INTO pipeline.operator_login (name, address, succeeded, at)
    VALUES (:name, :address, :succeeded, :at)
    """
)
FAILURES = text(
    """
    SELECT (SELECT count(*) FROM pipeline.operator_login
            WHERE name = :name AND at > :since AND NOT succeeded) AS by_name,
           (SELECT count(*) FROM pipeline.operator_login
            WHERE address = :address AND at > :since AND NOT succeeded) AS by_address
    """
)
OPEN_SESSION = text(
    """
    INSERT INTO pipeline.operator_session (id_hash, operator, created_at, seen_at)
    VALUES (:id_hash, :name, :now, :now)
    """
)
SESSION = text(
    """
    SELECT o.name, o.role, s.created_at, s.seen_at
    FROM pipeline.operator_session s JOIN pipeline.operator o ON o.name = s.operator
    WHERE s.id_hash = :id_hash AND o.disabled_at IS NULL
    """
)
TOUCH = text("UPDATE pipeline.operator_session SET seen_at = :now WHERE id_hash = :id_hash")
END_SESSION = text("DELETE FROM pipeline.operator_session WHERE id_hash = :id_hash")
END_SESSIONS_OF = text("DELETE FROM pipeline.operator_session WHERE operator = :name")
END_OLD_SESSIONS = text("DELETE FROM pipeline.operator_session WHERE created_at < :before")


@dataclass(frozen=True, slots=True)
class Session:
    """Who it is, since when, and when it was last used."""

    operator: Operator
    created_at: datetime
    seen_at: datetime


async def add(conn: AsyncConnection, operator: Operator, password_hash: str) -> bool:
    """False when the name is taken."""
    values = {"name": operator.name, "role": operator.role, "password_hash": password_hash}
    return (await conn.execute(ADD, values)).rowcount == 1


async def change(
    conn: AsyncConnection, name: str, *, role: Role | None, password_hash: str | None, is_disabled: bool
) -> bool:
    """Change what is not None, and end the sessions. False when there is nobody of this name."""
    values = {"name": name, "role": role, "password_hash": password_hash, "is_disabled": is_disabled}
    changed = (await conn.execute(CHANGE, values)).rowcount == 1
    await conn.execute(END_SESSIONS_OF, {"name": name})
    return changed


async def everybody(conn: AsyncConnection) -> list[dict[str, Any]]:
    """Name, role, created, disabled, last log-in."""
    return [dict(row) for row in (await conn.execute(LIST)).mappings()]


LOCK_NAME = text("SELECT pg_advisory_xact_lock(hashtext('pipeline.operator_login:' || CAST(:name AS text)))")


async def password_of(conn: AsyncConnection, name: str) -> str | None:
    """The hash; None for nobody and for who is disabled."""
    found: str | None = await conn.scalar(PASSWORD_OF, {"name": name})
    return found


async def enabled(conn: AsyncConnection, name: str) -> Operator | None:
    """None for nobody and for who is disabled."""
    row = (await conn.execute(ENABLED, {"name": name})).one_or_none()
    return Operator(row.name, Role(row.role)) if row else None


async def note_login(
    conn: AsyncConnection, name: str, address: str, at: datetime, *, succeeded: bool
) -> None:
    await conn.execute(NOTE_LOGIN, {"name": name, "address": address, "succeeded": succeeded, "at": at})


async def lock_name(conn: AsyncConnection, name: str) -> None:
    """One attempt of a name at a time, until the transaction ends."""
    await conn.execute(LOCK_NAME, {"name": name})


async def failures_since(conn: AsyncConnection, name: str, address: str, since: datetime) -> tuple[int, int]:
    """Failed attempts for the name, and from the address."""
    row = (await conn.execute(FAILURES, {"name": name, "address": address, "since": since})).one()
    return int(row.by_name), int(row.by_address)


async def open_session(conn: AsyncConnection, id_hash: bytes, name: str, now: datetime) -> None:
    await conn.execute(OPEN_SESSION, {"id_hash": id_hash, "name": name, "now": now})


async def session(conn: AsyncConnection, id_hash: bytes) -> Session | None:
    row = (await conn.execute(SESSION, {"id_hash": id_hash})).one_or_none()
    if row is None:
        return None
    return Session(Operator(row.name, Role(row.role)), row.created_at, row.seen_at)


async def touch(conn: AsyncConnection, id_hash: bytes, now: datetime) -> None:
    await conn.execute(TOUCH, {"id_hash": id_hash, "now": now})


async def end_session(conn: AsyncConnection, id_hash: bytes) -> None:
    await conn.execute(END_SESSION, {"id_hash": id_hash})


async def end_sessions_before(conn: AsyncConnection, before: datetime) -> None:
    """Forget sessions that can no longer be used."""
    await conn.execute(END_OLD_SESSIONS, {"before": before})
