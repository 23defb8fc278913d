"""When each API key was last used, without a write per request: noted in memory, written twice a minute.

What a process has noted and not written is lost when it is killed; the key then looks unused for half a minute more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.store import merchants
from platform_kit.clock import Clock
from platform_kit.logging import get_logger

WRITE_EVERY_S: Final = 30.0

log = get_logger(__name__)


class KeyUses:
    """Of one process. `note` costs the hot path one entry in a dict."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._noted: dict[str, datetime] = {}

    def note(self, key_id: str) -> None:
        """This key is used now."""
        self._noted[key_id] = self._clock.now()

    async def write(self) -> int:
        """Store what is noted; returns of how many keys. While Postgres is away it stays noted."""
        noted, self._noted = self._noted, {}
        if not noted:
            return 0
        try:
            async with self._engine.begin() as connection:
                await merchants.note_uses(connection, noted)
        except BaseException as error:  # cancelled on the way out too: they are written once more then
            self._noted = noted | self._noted
            if not isinstance(error, OSError | SQLAlchemyError):
                raise
            log.warning("uses of API keys not written", error=type(error).__name__)
            return 0
        return len(noted)


@asynccontextmanager
async def open_key_uses(engine: AsyncEngine, clock: Clock) -> AsyncIterator[KeyUses]:
    """Written every WRITE_EVERY_S, and once more on the way out."""
    uses = KeyUses(engine, clock)
    writing = asyncio.create_task(_write_for_ever(uses))
    try:
        yield uses
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await uses.write()


async def _write_for_ever(uses: KeyUses) -> None:
    while True:
        await asyncio.sleep(WRITE_EVERY_S)
        await uses.write()
