"""How far the archive is, and what it holds."""

from __future__ import annotations

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
