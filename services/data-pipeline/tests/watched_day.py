"""What a worker leaves behind on an ordinary day: jobs that ran, looks at facts, an archive, backups, and a deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline_rig import NOON, World
from running_service import Service
from sqlalchemy import text

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.note_versions import note_versions
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.clock import FixedClock

JOBS = {
    # job: (pause in seconds, what a run takes in milliseconds)
    "archive_events": (300, 412),
    "check_freshness": (15, 38),
    "check_settlements": (60, 961),
    "drop_exports": (3600, 27),
    "make_exports": (5, 19),
    "publish_snapshot": (300, 3_480),
    "reconcile_recent": (60, 1_240),
    "settle_merchants": (60, 655),
    "verify_invariants": (60, 1_870),
}
RUNS = text(
    """
    INSERT INTO pipeline.job_run (job, slot, claimed_at, finished_at, attempts)
    SELECT 'pipeline.' || :job, slot, CASE WHEN is_failed THEN to_timestamp(0) ELSE slot + interval '90 ms' END,
           CASE WHEN NOT is_failed THEN slot + interval '90 ms' + (:took + n * 7 % 90) * interval '1 ms' END,
           CASE WHEN is_failed THEN 2 ELSE 1 END
    FROM generate_series(0, 24) AS n,
         LATERAL (SELECT CAST(:latest AS timestamptz) - n * CAST(:every AS interval),
                         :job = 'reconcile_recent' AND n = 9) AS s (slot, is_failed)
    """
)
A_DAY_LATER = "UPDATE pipeline.quality_check SET checked_at = checked_at - interval '1 day'"
A_WARNING = "SET authorised_minor = captured_minor - 1 WHERE captured_minor > 150000"
IN_ORDER = """
UPDATE pipeline.fact_payment SET decided_at = created_at, approved_at = created_at WHERE approved_at < created_at
"""
IDS = "SELECT payment_id, currency, authorised_minor FROM pipeline.fact_payment"
MEND = """
UPDATE pipeline.fact_payment SET currency = :currency, authorised_minor = :authorised_minor
WHERE payment_id = :payment_id
"""
AT_FAULT = "SET currency = 'XXQ' WHERE payment_id LIKE '%7'"


async def watch_over(service: Service, world: World, directory: Path) -> None:
    """Looks of six days, the last one at a day with a rule that blocks; what was at fault is mended since."""
    settings = service.deps.settings.model_copy(
        update={"snapshot_url": f"file://{directory}/facts", "backups_dir": directory / "backups"}
    )
    deps = replace(service.deps, settings=settings, archive=ArchiveStore(f"file://{directory}/archive"))
    service.app.state.deps = service.deps = deps
    _back_up(directory / "backups")
    await archive_events(deps)
    async with deps.engine.begin() as conn:
        await conn.execute(text(IN_ORDER))
    for change in (None, None, None, A_WARNING, None, AT_FAULT):
        await _look(deps, change)
    async with deps.engine.begin() as conn:
        for job, (every_s, took_ms) in JOBS.items():
            every = timedelta(seconds=every_s)
            values = {"job": job, "latest": NOON - every / 3, "every": every, "took": took_ms}
            await conn.execute(RUNS, values)
    await verify_invariants(deps)
    for minutes_ago, version in ((120, "1.2.2"), (22, "1.2.3")):
        world.versions["gateway"] = version
        await note_versions(replace(deps, clock=FixedClock(NOON - timedelta(minutes=minutes_ago))))


async def _look(deps: Deps, change: str | None) -> None:
    """At the facts as they were on that day; earlier looks are a day older then."""
    async with deps.engine.begin() as conn:
        await conn.execute(text(A_DAY_LATER))
        await snapshot_store.mark_all(conn)
        was = (await conn.execute(text(IDS))).all()
        if change:
            await conn.execute(text(f"UPDATE pipeline.fact_payment {change}"))
    assert await publish_snapshot(replace(deps, clock=FixedClock(NOON - timedelta(seconds=41))))
    async with deps.engine.begin() as conn:
        await conn.execute(text(MEND), [row._asdict() for row in was])


def _back_up(directory: Path) -> None:
    for days_ago in range(7):
        made = directory / f"{NOON - timedelta(days=days_ago, hours=9):%Y-%m-%dT%H%M%SZ}"
        made.mkdir(parents=True)
        (made / "platform.dump").write_bytes(bytes(184_320))
