"""Items in suspense, in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.suspense import Direction, Suspense, Target
from payment_gateway.store import rows
from payment_gateway.store.tables import suspense as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(f.name for f in fields(Suspense))
_SELECT = f"SELECT {_COLUMNS} FROM {table.fullname}"  # noqa: S608 - our own names

# An item that is not there yet has no row to lock: an advisory lock on its id stands for it.
CLAIM_ITEMS = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('suspense ' || id, 0)) FROM"
    " (SELECT id FROM unnest(CAST(:ids AS text[])) AS wanted (id) ORDER BY hashtextextended('suspense ' || id, 0)) AS o"
)
LOCK_ITEMS = text(f"{_SELECT} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE")
GET_ITEM = text(f"{_SELECT} WHERE id = :id")
# suspense_open_idx, or suspense_pkey
LIST_ITEMS = text(
    f"{_SELECT} WHERE (CAST(:after AS text) IS NULL OR id > :after)"
    " AND (NOT :is_open OR resolved_at IS NULL) ORDER BY id LIMIT :limit"
)

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("resolved_at", "resolved_to", "resolved_merchant", "resolution"))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Suspense]:
    """The items, and what may become one under these ids, locked until the transaction ends."""
    await conn.execute(CLAIM_ITEMS, {"ids": list(ids)})
    return {row.id: _item(row) for row in await conn.execute(LOCK_ITEMS, {"ids": sorted(ids)})}


async def get(conn: AsyncConnection, item_id: str) -> Suspense | None:
    row = (await conn.execute(GET_ITEM, {"id": item_id})).first()
    return _item(row) if row else None


async def page(conn: AsyncConnection, *, after: str | None, is_open: bool, limit: int) -> Sequence[Suspense]:
    """In the order of their ids, which is none in time."""
    values = {"after": after, "is_open": is_open, "limit": limit}
    return [_item(row) for row in await conn.execute(LIST_ITEMS, values)]


def insert(writes: Writes, items: Iterable[Suspense]) -> None:
    rows.add(writes, _INSERT, map(asdict, items))


def update(writes: Writes, items: Iterable[Suspense]) -> None:
    rows.add(writes, _UPDATE, map(asdict, items))


def _item(row: Row[Any]) -> Suspense:
    values = dict(row._mapping)
    target = Target(values["resolved_to"]) if values["resolved_to"] else None
    return Suspense(**values | {"direction": Direction(values["direction"]), "resolved_to": target})
