"""Keep the archive in order: merge small files, let old partitions go, delete what was replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from data_pipeline.clients.archive_store import ArchiveDamaged
from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.domain.archive import ArchiveFile, named_range
from data_pipeline.operations.archive_events import archive_lease
from data_pipeline.operations.deps import Deps
from data_pipeline.store import archive as archive_store
from data_pipeline.store import replay as replay_store
from platform_kit.logging import get_logger

SMALL_ROWS: Final = 100_000  # a file below this is merged with its neighbours of the same day
MERGED_ROWS_MAX: Final = 200_000
GRACE: Final = timedelta(hours=1)  # a replaced file stays for whoever reads it
DELETED_MAX: Final = 1000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tended:
    """Files merged away, partitions that retention let go (or would), and files deleted."""

    merged: int
    dropped: tuple[dict[str, Any], ...]
    deleted: int


async def tend_archive(deps: Deps) -> Tended:
    """Merge, drop, delete; the schedule's task, once an hour."""
    if not deps.archive.is_configured:
        return Tended(0, (), 0)
    async with archive_lease(deps) as is_ours:
        if not is_ours or await _is_being_replayed(deps):
            return Tended(0, (), 0)
        merged = await _compact(deps)
        dropped = await drop_old_partitions(deps, dry_run=False)
        return Tended(merged, tuple(dropped), await _delete_replaced(deps) + await _delete_orphans(deps))


async def drop_old_partitions(deps: Deps, *, dry_run: bool) -> list[dict[str, Any]]:
    """Partitions older than `archive_keep_days` by the day of their events; none while that is 0.

    With `dry_run` they are only named, with files, rows and bytes.
    """
    if not (keep_days := deps.settings.archive_keep_days):
        return []
    before = deps.clock.now().date() - timedelta(days=keep_days)
    async with deps.engine.begin() as conn:
        old = await archive_store.partitions(conn, before)
        if old and not dry_run:
            files = await archive_store.files(conn, None, date.min, before - timedelta(days=1))
            await archive_store.drop(conn, [file.path for file in files])
            log.warning("archive partitions dropped", before=before.isoformat(), partitions=len(old))
    return old


async def _is_being_replayed(deps: Deps) -> bool:
    """A replay goes on from tick to tick with the files that it has noted: they must stay."""
    async with deps.engine.connect() as conn:
        return await replay_store.open_run(conn) is not None


async def _compact(deps: Deps) -> int:
    """Days before today, which get no more files but for what comes late."""
    yesterday = deps.clock.now().date() - timedelta(days=1)
    async with deps.engine.connect() as conn:
        files = await archive_store.files(conn, None, date.min, yesterday)
    small = [file for file in files if file.row_count < SMALL_ROWS]
    merged = 0
    for _, group in groupby(small, key=lambda file: (file.stream, file.day)):
        for few in _fitting(list(group)):
            merged += await _merge(deps, few)
    return merged


def _fitting(files: Sequence[ArchiveFile]) -> list[list[ArchiveFile]]:
    """Neighbours that together have at most MERGED_ROWS_MAX rows, two at least."""
    groups: list[list[ArchiveFile]] = [[]]
    for file in files:
        if sum(one.row_count for one in groups[-1]) + file.row_count > MERGED_ROWS_MAX:
            groups.append([])
        groups[-1].append(file)
    return [group for group in groups if len(group) > 1]


async def _merge(deps: Deps, files: Sequence[ArchiveFile]) -> int:
    try:
        events = [event for file in files for event in await deps.archive.read(file)]
    except ArchiveDamaged as damage:
        log.error("archive not compacted", fault=str(damage))
        return 0
    written = await deps.archive.write(sorted(events, key=lambda event: event.position))
    async with deps.engine.connect() as conn, conn.begin() as transaction:
        if not await archive_store.replace(conn, written, [file.path for file in files]):
            await transaction.rollback()
            return 0
    return len(files)


async def _delete_replaced(deps: Deps) -> int:
    async with deps.engine.connect() as conn:
        paths = await archive_store.replaced_before(conn, deps.clock.now() - GRACE, DELETED_MAX)
    for path in paths:
        await deps.archive.delete(path)
    async with deps.engine.begin() as conn:
        await archive_store.forget(conn, paths)
    return len(paths)


async def _delete_orphans(deps: Deps) -> int:
    """Files that a crash left behind before they were noted; whoever reads by pattern would count their events twice.

    Only names that the archive gives, of positions that are archived by now (a manifest that was lost lets nothing be
    deleted), and old enough that no writer whose lease broke is still about to note them.
    """
    paths = [path for path in await deps.archive.paths() if named_range(path)]
    async with deps.engine.begin() as conn:
        unknown = sorted(set(paths) - await archive_store.known(conn, paths))
        archived = {of.partition(":")[2]: await archive_store.read_cursor(conn, of) for of in STREAMS}
    deleted = 0
    for path in unknown[:DELETED_MAX]:
        stream, last = named_range(path) or ("", 0)
        if last > archived.get(stream, 0) or await deps.archive.written_at(path) > deps.clock.now() - GRACE:
            continue
        await deps.archive.delete(path)
        log.warning("archive orphan deleted", path=path)
        deleted += 1
    return deleted
