"""Reads on behalf of one merchant: Postgres itself shows no row of another's (row-level security).

The conditions in our statements stay what they are; this is the second lock, for the day when one is forgotten.
The committer, the workers and the administrator act across merchants, as `payments_app`, which sees all rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# One statement, both for this transaction alone: the pool gets its connection back as it was.
BECOME = text(
    "SELECT set_config('role', 'payments_tenant', true), set_config('platform.merchant_id', :merchant_id, true)"
)


@asynccontextmanager
async def as_merchant(engine: AsyncEngine, merchant_id: str) -> AsyncIterator[AsyncConnection]:
    """A connection for reads alone; what is written on it is refused."""
    async with engine.connect() as connection:
        await connection.execute(BECOME, {"merchant_id": merchant_id})
        yield connection
