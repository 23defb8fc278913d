"""Build facts and roll-ups anew from the archive, beside the live ones, and swap them in one transaction.

Readers see the old tables until the swap and the new ones after it, never a half-built one. Nothing leaves the platform
here: `apply_facts` takes a connection and facts, no client of anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.archive_store import ArchiveDamaged
from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.domain.archive import ArchivedEvent, ArchiveFile
from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.events import Refused
from data_pipeline.domain.facts import Facts
from data_pipeline.domain.lineage import REPLAY
from data_pipeline.domain.replay import ReplayState, differing
from data_pipeline.operations.archive_events import archive_lease, archive_streams
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.ingest_events import apply_facts
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.settings import CONSUMER
from data_pipeline.store import archive as archive_store
from data_pipeline.store import positions
from data_pipeline.store import replay as replay_store
from data_pipeline.store import report_hours as hour_store
from data_pipeline.store import snapshot as snapshot_store
from data_pipeline.store.tables import cursor
from platform_kit import inbox
from platform_kit.apply_once import is_transient
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem

SLICE: Final = 500  # events of one set of statements
BUDGET_S: Final = 400.0  # of one tick; the next goes on with the files that are not done
TAIL_MAX: Final = 20_000  # events applied while the consumer waits: about four seconds

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 1, 1, tzinfo=UTC)

log = get_logger(__name__)


class ReplayOpen(Problem):
    status, code, title = 409, "replay-open", "Another replay is not finished"


class NoArchive(Problem):
    status, code, title = 409, "no-archive", "There is no archive to replay from"


class HistoryIncomplete(Exception):
    """What a replay would read is not what is stored; the text says by how much."""


async def request_replay(deps: Deps, actor: str, reason: str, *, may_differ: bool = False) -> dict[str, Any]:
    """Ask for a replay of all that is archived; the worker does it. Raises ReplayOpen, NoArchive.

    `may_differ` swaps even when the new tables have other totals: for a handler that was wrong before. An archive that
    lacks stored events fails the run all the same.
    """
    if not deps.archive.is_configured:
        raise NoArchive("Set ARCHIVE_URL, and let the worker archive first.")
    run_id = new_id("rpl")
    async with deps.engine.begin() as conn:
        if not await replay_store.add_run(conn, run_id, actor, reason, may_differ, deps.clock.now()):
            raise ReplayOpen("Wait for it, or cancel it.")
        run = await replay_store.run(conn, run_id)
    assert run is not None
    return run


async def cancel_replay(deps: Deps, run_id: str, actor: str) -> dict[str, Any]:
    """Stop an open replay; the live tables were never touched. One that is over stays as it ended."""
    async with deps.engine.begin() as conn:
        await replay_store.finish(
            conn, run_id, ReplayState.CANCELLED, deps.clock.now(), f"cancelled by {actor}"
        )
        run = await replay_store.run(conn, run_id)
    if run is None:
        raise NotFound("There is no replay with this id.")
    return run


async def replay_archive(deps: Deps, budget_s: float = BUDGET_S) -> None:
    """Go on with the open replay, if there is one, for about `budget_s`: file by file, each in one transaction."""
    async with deps.engine.connect() as conn:
        run = await replay_store.open_run(conn)
    if run is None:
        return
    async with archive_lease(deps) as is_ours:  # nothing is compacted or dropped while we read
        if not is_ours:
            return
        try:
            if run["state"] == ReplayState.REQUESTED:
                await archive_streams(deps)
                async with deps.engine.begin() as conn:
                    await _refuse_what_lacks(conn)
                    await replay_store.begin_copies(conn)
                    await replay_store.start(conn, run["id"])
            async with lineage_of(deps, REPLAY):
                if await _read_files(deps, run["id"], budget_s):
                    await _swap(deps, run)
        except (ArchiveDamaged, HistoryIncomplete) as damage:
            await _fail(deps, run["id"], str(damage))
        except DBAPIError as error:  # the copies have another shape than the statements, or than the tables
            if is_transient(error):
                raise
            await _fail(deps, run["id"], replay_store.refusal(error))


async def _refuse_what_lacks(conn: AsyncConnection) -> None:
    """Raises HistoryIncomplete when the archive has not all that is stored: what it lacks would be gone from the facts.

    Whoever allows other totals allows another reading of the same events, never fewer events.
    """
    for stream in STREAMS:
        until = await archive_store.read_cursor(conn, stream)
        archived = await archive_store.count_archived(conn, stream)
        stored = await archive_store.count_stored(conn, stream, until, BEGINNING, END)
        if archived != stored:
            raise HistoryIncomplete(
                f"The archive holds {archived:,} events of {stream}, the event store {stored:,} up to the same"
                " position: retention has let days go, or files are noted twice. Nothing was swapped."
            )


async def _read_files(deps: Deps, run_id: str, budget_s: float) -> bool:
    """True when all files are done, among them those of what the consumer has stored meanwhile."""
    deadline = asyncio.get_running_loop().time() + budget_s
    while True:
        await archive_streams(deps)
        async with deps.engine.begin() as conn:
            await replay_store.add_new_files(conn, run_id)
            files = await replay_store.waiting(conn, run_id)
        if not files:
            return True
        for file in files:
            if asyncio.get_running_loop().time() > deadline or not await _read_file(deps, run_id, file):
                return False


async def _read_file(deps: Deps, run_id: str, file: ArchiveFile) -> bool:
    """False when the run was cancelled meanwhile: what goes to the copies then is dropped by the next replay."""
    events = await deps.archive.read(file)
    async with deps.engine.begin() as conn:
        if not await replay_store.file_done(conn, run_id, file.path):
            return False
        with replay_store.copies(conn):
            refused = await _apply(conn, events)
        return await replay_store.advance(conn, run_id, len(events), refused)


async def _apply(conn: AsyncConnection, events: Sequence[ArchivedEvent]) -> int:
    """The effects of these events, by the consumer's own hand; how many gave no facts.

    Events of one slice were observed on one day: what was closed for them then is closed for them now.
    """
    refused = 0
    for observed_on, observed in groupby(events, key=lambda event: event.received_at.astimezone(UTC).date()):
        of_day = list(observed)
        for start in range(0, len(of_day), SLICE):
            facts: list[Facts] = []
            for event in of_day[start : start + SLICE]:
                outcome = facts_of(orjson.loads(event.payload))
                if isinstance(outcome, Refused):
                    refused += 1
                else:
                    facts.append(outcome)
            await apply_facts(conn, facts, observed_on)
    return refused


async def _swap(deps: Deps, run: dict[str, Any]) -> None:
    """What is not archived yet comes from the event store while the consumer waits; then compare, and swap."""
    async with deps.engine.begin() as conn:
        for stream in STREAMS:
            await positions.lock_cursor(conn, CONSUMER, stream)
        tail = [event for stream in STREAMS for event in await _tail(conn, stream)]
        if len(tail) > TAIL_MAX:
            return  # the consumer is far ahead of the archive again: the next tick
        with replay_store.copies(conn):
            refused = await _apply(conn, tail)
        if not await replay_store.advance(conn, run["id"], len(tail), refused):
            return
        if left_out := await replay_store.left_out(conn, run["id"]):
            raise HistoryIncomplete(
                f"The replay read {left_out:,} events fewer than are stored. Nothing was swapped."
                if left_out > 0
                else f"The replay read {-left_out:,} events more than are stored. Nothing was swapped."
            )
        live = await replay_store.totals(conn)
        with replay_store.copies(conn):
            rebuilt = await replay_store.totals(conn)
        differences = differing(live, rebuilt)
        is_swapped = run["may_differ"] or not differences
        if is_swapped:
            await snapshot_store.mark_all(conn)  # a day that the new tables lack leaves the snapshot
            await replay_store.swap(conn)
            await snapshot_store.mark_all(conn)
            await hour_store.renew(conn)
        await replay_store.finish(
            conn,
            run["id"],
            ReplayState.SWAPPED if is_swapped else ReplayState.DIFFERS,
            deps.clock.now(),
            totals={"live": live, "rebuilt": rebuilt, "differing": differences},
        )
    log.info("replay finished", run=run["id"], is_swapped=is_swapped, differing=sorted(differences))


async def _tail(conn: AsyncConnection, stream: str) -> list[ArchivedEvent]:
    archived = await archive_store.read_cursor(conn, stream)
    consumed = await inbox.read_cursor(conn, cursor, CONSUMER, stream)
    new = await archive_store.next_events(conn, stream, archived, min(consumed, archived + TAIL_MAX + 1))
    return new + await archive_store.late_events(conn, stream, archived, TAIL_MAX + 1)


async def _fail(deps: Deps, run_id: str, why: str) -> None:
    async with deps.engine.begin() as conn:
        await replay_store.finish(conn, run_id, ReplayState.FAILED, deps.clock.now(), why)
    log.error("replay failed", run=run_id, why=why)
