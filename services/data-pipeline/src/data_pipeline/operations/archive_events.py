"""Write stored events to the archive: whole ranges of positions, by stream and day, each file with its checksum."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.domain.archive import ArchivedEvent, partitioned
from data_pipeline.domain.lineage import ARCHIVE
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.settings import CONSUMER
from data_pipeline.store import archive as archive_store
from data_pipeline.store.tables import cursor
from platform_kit import inbox, lease
from platform_kit.logging import get_logger

RANGE: Final = 20_000  # positions of one round: 40 MB of events of 2 kB
ROUNDS_MAX: Final = 100  # of a stream and tick; the rest waits for the next
LEASE: Final = "archive"

log = get_logger(__name__)


@asynccontextmanager
async def archive_lease(deps: Deps) -> AsyncIterator[bool]:
    """Hold what allows to change the archive; yields False when somebody else has it."""
    async with lease.held(deps.engine, LEASE) as held:
        yield held is not None


async def archive_events(deps: Deps) -> int:
    """Archive what the consumer has stored since the last time; how many events that were.

    Files are written first and noted then: a crash in between leaves files without a line. The next round writes the
    same ones over them, or, when more was stored meanwhile, longer ones beside them: `tend_archive` deletes the old.
    """
    if not deps.archive.is_configured:
        return 0
    async with archive_lease(deps) as is_ours:
        if not is_ours:
            return 0
        async with lineage_of(deps, ARCHIVE):
            return await archive_streams(deps)


async def archive_streams(deps: Deps) -> int:
    """The same for who holds the lease already."""
    return sum([await _archive_stream(deps, stream) for stream in STREAMS])


async def _archive_stream(deps: Deps, stream: str) -> int:
    archived = 0
    for _ in range(ROUNDS_MAX):
        async with deps.engine.begin() as conn:
            seen = await archive_store.read_cursor(conn, stream)
            consumed = await inbox.read_cursor(conn, cursor, CONSUMER, stream)
            until = min(consumed, seen + RANGE)
            events = await archive_store.next_events(conn, stream, seen, until)
            events += await archive_store.late_events(conn, stream, seen, RANGE)
        if until == seen and not events:
            break
        if not await _write(deps, stream, events, seen, until):
            break
        archived += len(events)
    return archived


async def _write(deps: Deps, stream: str, events: list[ArchivedEvent], seen: int, until: int) -> bool:
    files = [await deps.archive.write(part) for part in partitioned(events).values()]
    async with deps.engine.begin() as conn:
        noted = await archive_store.record(
            conn, stream, files, [event.position for event in events], seen, until
        )
    log.info(
        "events archived", stream=stream, first=seen + 1, last=until, events=len(events), files=len(files)
    )
    return noted
