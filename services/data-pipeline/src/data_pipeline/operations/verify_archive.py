"""Prove that the archive is what its manifest says, and that it holds what the event store holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from data_pipeline.clients.archive_store import ArchiveDamaged
from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.operations.deps import Deps
from data_pipeline.store import archive as archive_store


@dataclass(frozen=True, slots=True)
class Verification:
    """Files and rows that were read, and every fault in words; none is the proof."""

    files: int
    rows: int
    faults: tuple[str, ...]


async def verify_archive(deps: Deps, first: date, last: date) -> Verification:
    """Read every file of these days (both included), and count what the event store has of them."""
    async with deps.engine.connect() as conn:
        files = await archive_store.files(conn, None, first, last)
    faults: list[str] = []
    seen: set[tuple[str, int]] = set()
    for file in files:
        try:
            events = await deps.archive.read(file)
        except ArchiveDamaged as damage:
            faults.append(str(damage))
            continue
        positions = {(event.stream, event.position) for event in events}
        if len(positions) != len(events) or positions & seen:
            faults.append(f"{file.path} holds a position that is archived twice")
        if any((event.stream, event.day) != (file.stream, file.day) for event in events):
            faults.append(f"{file.path} holds events of another stream or day")
        seen |= positions
    faults += await _missing(deps, first, last, seen)
    return Verification(len(files), len(seen), tuple(faults))


async def _missing(deps: Deps, first: date, last: date, seen: set[tuple[str, int]]) -> list[str]:
    """Retention drops whole days: a day without files is not missing, one with fewer rows is."""
    since = datetime.combine(first, time(), UTC)
    before = datetime.combine(last, time(), UTC) + timedelta(days=1)
    faults = []
    for stream in STREAMS:
        async with deps.engine.begin() as conn:
            until = await archive_store.read_cursor(conn, stream)
            stored = await archive_store.count_stored(conn, stream, until, since, before)
        archived = sum(of == stream for of, _ in seen)
        if archived != stored:
            faults.append(f"{stream} from {first} to {last}: {archived} events archived, {stored} stored")
    return faults
