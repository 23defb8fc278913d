"""Let go of exported files: those whose time is over, and those that nobody noted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from data_pipeline.domain.exports import named_export, names_of, stored_name
from data_pipeline.operations.deps import Deps
from data_pipeline.store import exports as export_store
from platform_kit.logging import get_logger

GRACE: Final = timedelta(
    hours=1
)  # an attempt renews its lease of two minutes, and notes its file right after
DROPPED_MAX: Final = 1000

log = get_logger(__name__)


async def drop_exports(deps: Deps) -> int:
    """Remove files whose time is over, then say so; a crash in between removes them once more. How many exports."""
    async with deps.engine.connect() as conn:
        over = await export_store.expired(conn, deps.clock.now())
    for row in over:
        for name in names_of(stored_name(row)):
            await asyncio.to_thread(deps.exports.remove, name)
    if over:
        async with deps.engine.begin() as conn:
            await export_store.expire(conn, [row["id"] for row in over])
    await _drop_unnoted(deps)
    return len(over)


async def _drop_unnoted(deps: Deps) -> None:
    """A worker that was killed between the file and its note left a file that no export names: nobody can fetch it, and
    no expiry removes it. Only names that we give, and none so young that its attempt may be about to note it."""
    names = [name for name in await asyncio.to_thread(deps.exports.names) if named_export(name)]
    async with deps.engine.connect() as conn:
        rows = await export_store.finished(conn, sorted({named_export(name) or "" for name in names}))
    noted = {name for row in rows for name in names_of(stored_name(row))}
    for name in [name for name in names if name not in noted][:DROPPED_MAX]:
        try:
            written_at = await asyncio.to_thread(deps.exports.written_at, name)
        except FileNotFoundError:  # `….writing` has its own name by now
            continue
        if written_at < deps.clock.now() - GRACE:
            await asyncio.to_thread(deps.exports.remove, name)
            log.warning("export orphan removed", name=name)
