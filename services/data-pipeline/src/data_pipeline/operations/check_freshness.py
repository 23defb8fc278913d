"""Checks that run on a schedule and alarm in the log and in metrics: stale streams, old quarantine, a late archive."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from prometheus_client import Gauge

from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import Freshness, read_streams
from data_pipeline.store import archive as archive_store
from data_pipeline.store import quarantine as quarantine_store
from platform_kit.logging import get_logger

ARCHIVE_AGE_MAX: Final = timedelta(minutes=30)  # it is written every five
QUARANTINE_AGE_MAX: Final = timedelta(minutes=15)  # a person should have looked by then

pipeline_age_seconds = Gauge("pipeline_age_seconds", "Age of what the console shows.", ["stream"])
quarantine_open = Gauge("pipeline_quarantine_open", "Events that wait for a person.")
quarantine_age_seconds = Gauge("pipeline_quarantine_age_seconds", "Age of the oldest of them.")
archive_age_seconds = Gauge("pipeline_archive_age_seconds", "Age of the oldest event that is not archived.")

log = get_logger(__name__)


async def check_freshness(deps: Deps) -> None:
    """Log an error for each stream that is red."""
    now = deps.clock.now()
    for name, status in (await read_streams(deps)).items():
        age = status.age(now)
        pipeline_age_seconds.labels(name).set(
            age.total_seconds() if age else float("nan") if age is None else 0
        )
        if status.freshness(now) is Freshness.BAD:
            log.error("stream is stale", stream=name, position=status.position, head=status.head)


async def check_quarantine(deps: Deps) -> None:
    """Log an error when the oldest open event is older than QUARANTINE_AGE_MAX: age counts, not number."""
    async with deps.engine.connect() as conn:
        count, oldest_at = await quarantine_store.open_summary(conn)
    age = deps.clock.now() - oldest_at if oldest_at else timedelta()
    quarantine_open.set(count)
    quarantine_age_seconds.set(age.total_seconds())
    if age > QUARANTINE_AGE_MAX:
        log.error("events wait in quarantine", count=count, oldest_s=round(age.total_seconds()))


async def check_archive(deps: Deps) -> None:
    """Log an error when events wait for the archive longer than ARCHIVE_AGE_MAX; nothing where there is none."""
    if not deps.archive.is_configured:
        return
    async with deps.engine.connect() as conn:
        oldest_at = await archive_store.oldest_waiting(conn)
    age = max(deps.clock.now() - oldest_at, timedelta()) if oldest_at else timedelta()
    archive_age_seconds.set(age.total_seconds())
    if age > ARCHIVE_AGE_MAX:
        log.error("events wait for the archive", oldest_s=round(age.total_seconds()))
