"""Attempts that give back what a channel took after we had given up; locked to be written and settled once."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.attempt import Attempt
from payment_gateway.store import attempts
from payment_gateway.store.tables import attempt as table
from platform_kit.writes import Writes

# attempt_pkey
LOCK_REVERSALS = text(
    f"SELECT id, due_at IS NULL AS is_settled FROM {table.fullname}"  # noqa: S608 - our own table name
    " WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, bool]:
    """Whether each of those that exist is settled; locked until the transaction ends."""
    found = await conn.execute(LOCK_REVERSALS, {"ids": sorted(ids)})
    return {row.id: row.is_settled for row in found}


def insert(writes: Writes, reversals: Iterable[Attempt]) -> None:
    attempts.insert(writes, reversals)


def update(writes: Writes, reversals: Iterable[Attempt]) -> None:
    raise AssertionError("what is asked of a channel does not change")
