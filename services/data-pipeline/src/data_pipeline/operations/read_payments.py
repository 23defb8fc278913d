"""Payments for an export, slice by slice in (created_at, payment_id) order: days that are over from the snapshot, where
the file says what the live table says, the rest live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from data_pipeline.clients.snapshot_store import SnapshotDamaged
from data_pipeline.domain.export_parts import Part, parts_of
from data_pipeline.domain.exports import PAYMENT_COLUMNS
from data_pipeline.domain.questions import Question
from data_pipeline.domain.snapshot import Partition, PartitionFile
from data_pipeline.operations.deps import Deps
from data_pipeline.store import exports as export_store
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.logging import get_logger

TABLE: Final = "fact_payment"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = get_logger(__name__)

Slice = tuple[float, list[dict[str, Any]]]


async def payment_slices(deps: Deps, question: Question, slice_rows: int) -> AsyncIterator[Slice]:
    """(how far this is, rows), every slice but the last one full. A day's file that cannot be read is read live."""
    parts = parts_of(question.after, question.before, await _equal_files(deps))
    sizes = [await _size(deps, question, part) for part in parts]
    read, whole = 0, max(sum(sizes), 1)
    waiting: list[dict[str, Any]] = []
    for part, size in zip(parts, sizes, strict=True):
        within, done = replace(question, after=part.after, before=part.before), 0
        of_file = _of_file(deps, within, part.file, slice_rows) if part.file else None
        async for rows in of_file or _live(deps, within, slice_rows):
            done += len(rows)
            waiting += rows
            while len(waiting) >= slice_rows:
                yield min((read + done) / whole, 1.0), waiting[:slice_rows]
                del waiting[:slice_rows]
        read += size
    if waiting:
        yield 1.0, waiting


async def _equal_files(deps: Deps) -> list[PartitionFile]:
    """Days whose file has all that is committed. Marks are read before the manifest: a day without one was published
    by then, and the manifest that is read after can only be newer."""
    if not deps.snapshots.is_configured:
        return []
    async with deps.engine.connect() as conn:
        dirty = await snapshot_store.dirty(conn)
    try:
        manifest = await deps.snapshots.manifest()
    except SnapshotDamaged:
        log.exception("export_without_snapshot")
        return []
    if manifest is None:
        return []
    today, behind = deps.clock.now().date(), {*dirty, *manifest.blocked, *manifest.waiting}
    return [
        one
        for one in manifest.partitions.get(TABLE, ())
        if one.day < today and Partition(TABLE, one.day) not in behind
    ]


async def _size(deps: Deps, question: Question, part: Part) -> int:
    if part.file:
        return part.file.row_count
    async with deps.engine.connect() as conn:
        return await export_store.count_payments(
            conn, replace(question, after=part.after, before=part.before)
        )


async def _of_file(
    deps: Deps, question: Question, file: PartitionFile, slice_rows: int
) -> AsyncIterator[list[dict[str, Any]]]:
    names = [column.name for column in PAYMENT_COLUMNS]
    try:
        rows = await asyncio.to_thread(
            deps.snapshots.rows, file, names, question.filters, ("created_at", "payment_id")
        )
    except (FileNotFoundError, SnapshotDamaged):
        log.exception("export_without_file", path=file.path)
        async for slice_ in _live(deps, question, slice_rows):
            yield slice_
        return
    for start in range(0, rows.num_rows, slice_rows):
        yield await asyncio.to_thread(rows.slice(start, slice_rows).to_pylist)


async def _live(deps: Deps, question: Question, slice_rows: int) -> AsyncIterator[list[dict[str, Any]]]:
    last_at, last_id = EARLIEST, ""
    while True:
        async with deps.engine.connect() as conn:
            rows = await export_store.payments_after(conn, question, last_at, last_id, slice_rows)
        if not rows:
            return
        yield rows
        last_at, last_id = rows[-1]["created_at"], rows[-1]["payment_id"]
