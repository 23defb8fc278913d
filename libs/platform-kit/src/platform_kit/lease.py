"""One active process of several, by a Postgres advisory lock on a connection of its own.

The lock only saves work: whoever acts under it must be safe when two act (the relay by its counter row, a
consumer by its cursor), because a lock holder whose connection died learns of it late.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_kit.db import each_by_itself
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless

STANDBY_S = 1.0  # a standby asks this often; so long does a takeover take after a crash
CHECK_S = 1.0  # the holder asks its connection this often whether it is still there

log = get_logger(__name__)


class Lease:
    """A held advisory lock. `still_held` raises (a SQLAlchemy or OS error) when the connection is gone."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._checked_at_s = time.monotonic()

    async def still_held(self) -> None:
        """Cheap: asks the server at most once every CHECK_S."""
        if time.monotonic() - self._checked_at_s < CHECK_S:
            return
        await self._connection.execute(text("SELECT 1"))
        self._checked_at_s = time.monotonic()


@asynccontextmanager
async def held(
    engine: AsyncEngine, name: str, stop: asyncio.Event | None = None
) -> AsyncIterator[Lease | None]:
    """Wait for the lock called `name` and hold it; yields None when `stop` came first. Without `stop` nothing is waited
    for: None says that somebody else holds it just now.

    A session lock needs a connection that is ours alone: behind PgBouncer it must be a session pool.
    """
    async with each_by_itself(engine).connect() as connection:
        take = _try(connection, lock_key(name)) if stop is None else _wait(connection, lock_key(name), stop)
        if not await take:
            yield None
            return
        log.info("lock taken", lock=name)
        try:
            yield Lease(connection)
        finally:
            await _release(connection, lock_key(name))


async def _wait(connection: AsyncConnection, key: int, stop: asyncio.Event) -> bool:
    while not stop.is_set():
        if await _try(connection, key):
            return True
        await sleep_unless(stop, STANDBY_S)
    return False


async def _try(connection: AsyncConnection, key: int) -> bool:
    return bool(await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))


async def _release(connection: AsyncConnection, key: int) -> None:
    try:
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    except Exception:  # the connection is gone, and the lock with it; make sure that neither comes back
        await connection.invalidate()


def lock_key(name: str) -> int:
    """A stable signed 64-bit key; two names collide once in 2**64."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
