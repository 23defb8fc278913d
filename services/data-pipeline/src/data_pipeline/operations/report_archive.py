"""How far the archive is, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from data_pipeline.operations.deps import Deps
from data_pipeline.operations.tend_archive import drop_old_partitions
from data_pipeline.settings import CONSUMER
from data_pipeline.store import archive as archive_store


async def report_archive(deps: Deps) -> dict[str, Any]:
    """Progress of each stream, a line a stream and day, and what retention would let go now (nothing is dropped)."""
    async with deps.engine.connect() as conn:
        progress = await archive_store.progress(conn, CONSUMER)
        partitions = await archive_store.partitions(conn)
    return {
        "is_configured": deps.archive.is_configured,
        "keep_days": deps.settings.archive_keep_days,
        "streams": progress,
        "partitions": partitions,
        "would_drop": await drop_old_partitions(deps, dry_run=True),
    }


@dataclass(frozen=True, slots=True)
class Holes:
    """What a stream's archive lacks, by arithmetic: positions are dense, so up to the archive's own position every one
    is in a file or known to be in none. `days` have no file between two that have."""

    stream: str
    lacking: int
    days: tuple[date, ...]


async def find_holes(deps: Deps) -> list[Holes]:
    """Of each stream that is archived. Counts rows of the manifest, reads no file: `verify_archive` does."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        progress = await archive_store.progress(conn, CONSUMER)
        outside = await archive_store.outside(conn)
        partitions = await archive_store.partitions(conn)
    found = []
    for stream in progress:
        of_it = [one for one in partitions if one["stream"] == stream["stream"]]
        archived = sum(one["row_count"] for one in of_it)
        have = {one["day"] for one in of_it}
        span = (max(have) - min(have)).days if have else 0
        missing = tuple(day for back in range(span) if (day := min(have) + timedelta(days=back)) not in have)
        lacking = stream["position"] - archived - outside.get(stream["stream"], 0)
        found.append(Holes(stream["stream"], lacking, missing))
    return found
