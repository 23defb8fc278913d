"""Celery: the schedules of this service. Each task is one call of an operation."""

from __future__ import annotations

from data_pipeline.domain.lineage import RECONCILE, VERIFY
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.check_freshness import check_archive, check_freshness, check_quarantine
from data_pipeline.operations.check_settlements import check_settlements
from data_pipeline.operations.deps import Deps, open_deps
from data_pipeline.operations.drop_exports import drop_exports
from data_pipeline.operations.keep_report_hours import keep_report_hours
from data_pipeline.operations.make_exports import make_exports
from data_pipeline.operations.note_versions import note_versions
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.reconcile_recent import reconcile_recent
from data_pipeline.operations.replay_archive import replay_archive
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.operations.tend_archive import tend_archive
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.settings import SERVICE, Settings
from data_pipeline.store.tables import job_run
from platform_kit.tasks import PlatformCelery, async_task, create_celery, periodic

RECONCILE_LIMIT_S = 300  # two days of every channel, then payouts; what is cut off, the next tick does
SNAPSHOT_LIMIT_S = 600  # it stops by itself after 400 s, and goes on with the next tick
SETTLE_LIMIT_S = 600  # a batch has a transaction of its own; what is cut off, the next tick does
CHECK_LIMIT_S = 600  # it stops by itself after seconds, but for a batch that alone takes longer
EXPORTS_LIMIT_S = 600  # a lease is renewed slice by slice, and what is cut off here is begun again


@async_task("pipeline.reconcile_recent", time_limit_s=RECONCILE_LIMIT_S)
async def reconcile_recent_task(deps: Deps) -> None:
    async with lineage_of(deps, RECONCILE):
        await reconcile_recent(deps)


@async_task("pipeline.check_freshness", time_limit_s=10)
async def check_freshness_task(deps: Deps) -> None:
    await check_freshness(deps)


@async_task("pipeline.check_quarantine", time_limit_s=10)
async def check_quarantine_task(deps: Deps) -> None:
    await check_quarantine(deps)


@async_task("pipeline.check_archive", time_limit_s=10)
async def check_archive_task(deps: Deps) -> None:
    await check_archive(deps)


@async_task("pipeline.verify_invariants", time_limit_s=55)
async def verify_invariants_task(deps: Deps) -> None:
    async with lineage_of(deps, VERIFY):
        await verify_invariants(deps)


@async_task("pipeline.archive_events", time_limit_s=280)
async def archive_events_task(deps: Deps) -> None:
    await archive_events(deps)


@async_task("pipeline.tend_archive", time_limit_s=600)
async def tend_archive_task(deps: Deps) -> None:
    await tend_archive(deps)


@async_task("pipeline.publish_snapshot", time_limit_s=SNAPSHOT_LIMIT_S)
async def publish_snapshot_task(deps: Deps) -> None:
    await publish_snapshot(deps)


@async_task("pipeline.replay_archive", time_limit_s=600)
async def replay_archive_task(deps: Deps) -> None:
    await replay_archive(deps)


@async_task("pipeline.settle_merchants", time_limit_s=SETTLE_LIMIT_S)
async def settle_merchants_task(deps: Deps) -> None:
    await settle_merchants(deps)


@async_task("pipeline.check_settlements", time_limit_s=CHECK_LIMIT_S)
async def check_settlements_task(deps: Deps) -> None:
    await check_settlements(deps)


@async_task("pipeline.make_exports", time_limit_s=EXPORTS_LIMIT_S)
async def make_exports_task(deps: Deps) -> None:
    await make_exports(deps)


@async_task("pipeline.keep_report_hours", time_limit_s=55)
async def keep_report_hours_task(deps: Deps) -> None:
    await keep_report_hours(deps)


@async_task("pipeline.note_versions", time_limit_s=10)
async def note_versions_task(deps: Deps) -> None:
    await note_versions(deps)


@async_task("pipeline.drop_exports", time_limit_s=60)
async def drop_exports_task(deps: Deps) -> None:
    await drop_exports(deps)


def celery_app(settings: Settings) -> PlatformCelery:
    """The worker's application; every tick is keyed by (job, slot), so two schedulers do no harm."""
    return create_celery(
        settings,
        SERVICE,
        open_deps=open_deps,
        schedule=[
            periodic(reconcile_recent_task, every_s=settings.reconcile_every_s),
            periodic(check_freshness_task, every_s=15),
            periodic(check_quarantine_task, every_s=60),
            periodic(check_archive_task, every_s=60),
            periodic(verify_invariants_task, every_s=60),
            periodic(archive_events_task, every_s=300),
            periodic(tend_archive_task, every_s=3600),
            periodic(publish_snapshot_task, every_s=settings.snapshot_every_s),
            periodic(replay_archive_task, every_s=15),
            periodic(settle_merchants_task, every_s=settings.settle_every_s),
            periodic(check_settlements_task, every_s=60),
            periodic(make_exports_task, every_s=5),
            periodic(keep_report_hours_task, every_s=60),
            periodic(note_versions_task, every_s=30),
            periodic(drop_exports_task, every_s=3600),
        ],
        job_run=job_run,
    )
