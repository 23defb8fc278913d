"""Merchants and the hashes of their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert as insert_into
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import api_key, merchant

_COLUMNS = "id, merchant_id, name, hint, scopes, expires_at, revoked_at, created_at"

_ENDED = (
    "revoked_at = CASE WHEN :at_once THEN COALESCE(revoked_at, now()) ELSE revoked_at END,"
    " expires_at = LEAST(expires_at, now() + make_interval(secs => :overlap_s))"
)

# api_key_key_hash_key. The database's clock decides what has expired.
FIND_BY_KEY = text(
    f"SELECT {_COLUMNS} FROM payments.api_key WHERE key_hash = :key_hash AND revoked_at IS NULL"  # noqa: S608
    " AND (expires_at IS NULL OR expires_at > now())"
)
# api_key_by_merchant_idx
LIST_KEYS = text(
    f"SELECT {_COLUMNS} FROM payments.api_key WHERE merchant_id = :merchant_id ORDER BY id DESC LIMIT :limit"  # noqa: S608
)
LOCK_KEY = text(
    f"SELECT {_COLUMNS} FROM payments.api_key WHERE id = :id AND merchant_id = :merchant_id FOR UPDATE"  # noqa: S608
)
END_KEY = text(
    f"UPDATE payments.api_key SET {_ENDED} WHERE id = :id RETURNING {_COLUMNS}"  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored: never the key itself. `scopes` None = all."""

    id: str
    merchant_id: str
    name: str | None
    hint: str | None
    scopes: frozenset[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


async def insert(conn: AsyncConnection, merchant_id: str, name: str, country: str) -> None:
    await conn.execute(insert_into(merchant).values(id=merchant_id, name=name, country=country))


async def insert_key(
    conn: AsyncConnection,
    key_id: str,
    merchant_id: str,
    key_hash: bytes,
    *,
    name: str | None = None,
    hint: str | None = None,
    scopes: frozenset[str] | None = None,
    expires_at: datetime | None = None,
) -> ApiKey:
    statement = insert_into(api_key).values(
        id=key_id,
        merchant_id=merchant_id,
        key_hash=key_hash,
        name=name,
        hint=hint,
        scopes=None if scopes is None else sorted(scopes),
        expires_at=expires_at,
    )
    return _key((await conn.execute(statement.returning(*_RETURNED))).one())


async def find_by_key(conn: AsyncConnection, key_hash: bytes) -> ApiKey | None:
    """The key behind a hash, if it is live."""
    row = (await conn.execute(FIND_BY_KEY, {"key_hash": key_hash})).first()
    return _key(row) if row else None


async def list_keys(conn: AsyncConnection, merchant_id: str, limit: int) -> Sequence[ApiKey]:
    """A merchant's keys, the newest first, also those that have ended."""
    return [_key(row) for row in await conn.execute(LIST_KEYS, {"merchant_id": merchant_id, "limit": limit})]


async def lock_key(conn: AsyncConnection, key_id: str, merchant_id: str) -> ApiKey | None:
    row = (await conn.execute(LOCK_KEY, {"id": key_id, "merchant_id": merchant_id})).first()
    return _key(row) if row else None


async def end_key(conn: AsyncConnection, key_id: str, *, overlap_s: int, at_once: bool) -> ApiKey:
    """Let a key end after `overlap_s`, or at once."""
    values = {"id": key_id, "overlap_s": float(overlap_s), "at_once": at_once}
    return _key((await conn.execute(END_KEY, values)).one())


_RETURNED = [api_key.c[name] for name in _COLUMNS.split(", ")]


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.merchant_id,
        row.name,
        row.hint,
        None if row.scopes is None else frozenset(row.scopes),
        row.expires_at,
        row.revoked_at,
        row.created_at,
    )
