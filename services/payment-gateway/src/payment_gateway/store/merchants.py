"""Merchants and the hashes of their API keys."""

from __future__ import annotations

from sqlalchemy import insert as insert_into
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import api_key, merchant

# api_key_key_hash_key
FIND_BY_KEY = text(
    "SELECT merchant_id FROM payments.api_key WHERE key_hash = :key_hash AND revoked_at IS NULL"
)


async def insert(conn: AsyncConnection, merchant_id: str, name: str, country: str) -> None:
    await conn.execute(insert_into(merchant).values(id=merchant_id, name=name, country=country))


async def insert_key(conn: AsyncConnection, key_id: str, merchant_id: str, key_hash: bytes) -> None:
    await conn.execute(insert_into(api_key).values(id=key_id, merchant_id=merchant_id, key_hash=key_hash))


async def find_by_key(conn: AsyncConnection, key_hash: bytes) -> str | None:
    """The merchant of a key that is not revoked."""
    found: str | None = await conn.scalar(FIND_BY_KEY, {"key_hash": key_hash})
    return found
