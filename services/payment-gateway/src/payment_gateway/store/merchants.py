"""Merchants and the hashes of their API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert as insert_into
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.merchant import StoredMerchant
from payment_gateway.store.tables import api_key, merchant

_COLUMNS = "id, merchant_id, name, hint, scopes, expires_at, revoked_at, last_used_at, created_at"
_MERCHANT = "id, name, country, mcc, api_version, disabled_at, created_at"

_ENDED = (
    "revoked_at = CASE WHEN :at_once THEN COALESCE(revoked_at, now()) ELSE revoked_at END,"
    " expires_at = LEAST(expires_at, now() + make_interval(secs => :overlap_s))"
)

# api_key_key_hash_key. The database's clock decides what has expired.
FIND_BY_KEY = text(
    "SELECT k.id, k.merchant_id, k.scopes, m.api_version, m.disabled_at FROM payments.api_key k"
    " JOIN payments.merchant m ON m.id = k.merchant_id WHERE k.key_hash = :key_hash AND k.revoked_at IS NULL"
    " AND (k.expires_at IS NULL OR k.expires_at > now())"
)
WHEN_IT_ENDED = text(
    "SELECT LEAST(revoked_at, expires_at) FROM payments.api_key"
    " WHERE key_hash = :key_hash AND (revoked_at IS NOT NULL OR expires_at <= now())"
)
# api_key_by_merchant_idx
LIST_KEYS = text(
    f"SELECT {_COLUMNS} FROM payments.api_key WHERE merchant_id = :merchant_id ORDER BY id DESC LIMIT :limit"  # noqa: S608
)
LOCK_KEY = text(
    f"SELECT {_COLUMNS} FROM payments.api_key WHERE id = :id AND merchant_id = :merchant_id FOR UPDATE"  # noqa: S608
)
# In the order of their ids, so that two processes never deadlock; a later use that another one wrote stays.
NOTE_USES = text("""
    WITH used AS (
        SELECT k.id, given.at FROM payments.api_key k
        JOIN unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS given (id, at) ON given.id = k.id
        ORDER BY k.id FOR UPDATE OF k
    )
    UPDATE payments.api_key k SET last_used_at = GREATEST(k.last_used_at, used.at) FROM used WHERE k.id = used.id""")
# merchant_pkey: ids rise with time.
LIST_MERCHANTS = text(
    f"SELECT {_MERCHANT} FROM payments.merchant WHERE (CAST(:before AS text) IS NULL OR id < :before)"  # noqa: S608
    " AND (CAST(:is_disabled AS boolean) IS NULL OR (disabled_at IS NOT NULL) = :is_disabled)"
    " ORDER BY id DESC LIMIT :limit"
)
GET_MERCHANT = text(f"SELECT {_MERCHANT} FROM payments.merchant WHERE id = :id")  # noqa: S608
LOCK_MERCHANT = text(f"SELECT {_MERCHANT} FROM payments.merchant WHERE id = :id FOR UPDATE")  # noqa: S608
UPDATE_MERCHANT = text(
    "UPDATE payments.merchant SET name = :name, country = :country, mcc = :mcc, api_version = :api_version,"  # noqa: S608
    " disabled_at = CASE WHEN :is_disabled THEN COALESCE(disabled_at, now()) END"
    f" WHERE id = :id RETURNING {_MERCHANT}"
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
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LiveKey:
    """What a request needs to know of the key that came with it, and of its merchant."""

    id: str
    merchant_id: str
    scopes: frozenset[str] | None
    api_version: str
    is_disabled: bool
    """The merchant."""


async def insert(
    conn: AsyncConnection, merchant_id: str, name: str, country: str, mcc: str | None, api_version: str
) -> StoredMerchant:
    statement = insert_into(merchant).values(
        id=merchant_id, name=name, country=country, mcc=mcc, api_version=api_version
    )
    returned = (merchant.c[column] for column in _MERCHANT.split(", "))
    return StoredMerchant(*(await conn.execute(statement.returning(*returned))).one())


async def get(conn: AsyncConnection, merchant_id: str, *, lock: bool = False) -> StoredMerchant | None:
    row = (await conn.execute(LOCK_MERCHANT if lock else GET_MERCHANT, {"id": merchant_id})).first()
    return StoredMerchant(*row) if row else None


async def page(
    conn: AsyncConnection, *, before: str | None, is_disabled: bool | None, limit: int
) -> Sequence[StoredMerchant]:
    """The newest first."""
    values = {"before": before, "is_disabled": is_disabled, "limit": limit}
    return [StoredMerchant(*row) for row in await conn.execute(LIST_MERCHANTS, values)]


async def update(conn: AsyncConnection, changed: StoredMerchant, *, is_disabled: bool) -> StoredMerchant:
    """All but id and times as given; disabled since now unless it was, or enabled."""
    values = {
        "id": changed.id,
        "name": changed.name,
        "country": changed.country,
        "mcc": changed.mcc,
        "api_version": changed.api_version,
        "is_disabled": is_disabled,
    }
    return StoredMerchant(*(await conn.execute(UPDATE_MERCHANT, values)).one())


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


async def find_by_key(conn: AsyncConnection, key_hash: bytes) -> LiveKey | None:
    """The key behind a hash, if it is live; a disabled merchant's too."""
    row = (await conn.execute(FIND_BY_KEY, {"key_hash": key_hash})).first()
    if row is None:
        return None
    scopes = None if row.scopes is None else frozenset(row.scopes)
    return LiveKey(row.id, row.merchant_id, scopes, row.api_version, row.disabled_at is not None)


async def when_it_ended(conn: AsyncConnection, key_hash: bytes) -> datetime | None:
    """Since when the key behind a hash is not live any more; None also when it never was one."""
    ended: datetime | None = await conn.scalar(WHEN_IT_ENDED, {"key_hash": key_hash})
    return ended


async def note_uses(conn: AsyncConnection, uses: Mapping[str, datetime]) -> None:
    """Write when keys (by id) were last used."""
    await conn.execute(NOTE_USES, {"ids": list(uses), "times": list(uses.values())})


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
        row.last_used_at,
        row.created_at,
    )
