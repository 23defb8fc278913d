"""What settlements kept back, in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.reserve import Reserve
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import reserve as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(f.name for f in fields(Reserve))

LOCK_RESERVES = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"  # noqa: S608
)
# reserve_due_idx
DUE_RESERVES = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE released_at IS NULL AND release_at <= now()"  # noqa: S608
    " ORDER BY release_at, id LIMIT :limit"
)
# reserve_by_merchant_idx
RESERVES = PageQuery(table, _COLUMNS, {}, ids="rsv")

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("released_at",))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Reserve]:
    """The reserves, locked until the transaction ends."""
    return {row.id: Reserve(*row) for row in await conn.execute(LOCK_RESERVES, {"ids": sorted(ids)})}


async def due(conn: AsyncConnection, limit: int) -> Sequence[Reserve]:
    """What is to be released now, by the database's clock."""
    return [Reserve(*row) for row in await conn.execute(DUE_RESERVES, {"limit": limit})]


async def page(conn: AsyncConnection, merchant_id: str, window: Window) -> Page[Reserve]:
    """A merchant's reserves, newest first, the released ones too."""
    found, has_more = await RESERVES.rows(conn, merchant_id, window)
    return Page([Reserve(*tuple(row)) for row in found], has_more)


def insert(writes: Writes, reserves: Iterable[Reserve]) -> None:
    rows.add(writes, _INSERT, map(asdict, reserves))


def update(writes: Writes, reserves: Iterable[Reserve]) -> None:
    rows.add(writes, _UPDATE, map(asdict, reserves))
