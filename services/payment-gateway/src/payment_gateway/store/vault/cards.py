"""Sealed cards in and out of the vault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.envelope import SealedCard
from payment_gateway.store.vault.tables import card as table

_COLUMNS = "id, kek_id, wrapped_key, ciphertext, fingerprint"

INSERT = text(
    f"INSERT INTO {table.fullname} ({_COLUMNS})"  # noqa: S608 - our own names
    " VALUES (:id, :kek_id, :wrapped_key, :ciphertext, :fingerprint)"
)
GET = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id")  # noqa: S608
# card_by_kek_idx
LOCK_OLD = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE kek_id <> :newest ORDER BY id LIMIT :limit"  # noqa: S608
    " FOR UPDATE SKIP LOCKED"
)
REWRAP = text(
    f"UPDATE {table.fullname} SET kek_id = :kek_id, wrapped_key = :wrapped_key, rewrapped_at = now()"  # noqa: S608
    " WHERE id = :id"
)
DELETE = text(f"DELETE FROM {table.fullname} WHERE id = :id")  # noqa: S608
COUNT_BY_KEK = text(f"SELECT kek_id, count(*) AS cards FROM {table.fullname} GROUP BY kek_id")  # noqa: S608


async def insert(conn: AsyncConnection, sealed: SealedCard) -> None:
    await conn.execute(INSERT, _row(sealed))


async def get(conn: AsyncConnection, card_id: str) -> SealedCard | None:
    row = (await conn.execute(GET, {"id": card_id})).one_or_none()
    return None if row is None else _sealed(row)


async def lock_old(conn: AsyncConnection, newest: str, limit: int) -> Sequence[SealedCard]:
    """Cards that are wrapped with another key than the newest, locked; those that another run holds are left out."""
    return [_sealed(row) for row in await conn.execute(LOCK_OLD, {"newest": newest, "limit": limit})]


async def rewrap(conn: AsyncConnection, sealed: Sequence[SealedCard]) -> None:
    rows = [{"id": s.id, "kek_id": s.kek_id, "wrapped_key": s.wrapped_key} for s in sealed]
    await conn.execute(REWRAP, rows)


async def delete(conn: AsyncConnection, card_id: str) -> None:
    await conn.execute(DELETE, {"id": card_id})


async def count_by_kek(conn: AsyncConnection) -> Mapping[str, int]:
    """How many cards each key-encryption key holds."""
    return {row.kek_id: row.cards for row in await conn.execute(COUNT_BY_KEK)}


def _row(sealed: SealedCard) -> dict[str, Any]:
    return {name: getattr(sealed, name) for name in _COLUMNS.split(", ")}


def _sealed(row: Row[Any]) -> SealedCard:
    return SealedCard(row.id, row.kek_id, bytes(row.wrapped_key), bytes(row.ciphertext), row.fingerprint)
