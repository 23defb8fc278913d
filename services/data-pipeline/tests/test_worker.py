"""The schedule: each tick is keyed by its slot, and the checks alarm when they should."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pipeline_rig import NOON, World, a_sale, an_event, ingest, rows, settings_for
from prometheus_client import REGISTRY

from data_pipeline.operations.check_freshness import check_freshness, check_quarantine
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.watch_heads import watch_heads
from data_pipeline.settings import Settings
from data_pipeline.worker import celery_app
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock


def test_the_schedule_has_its_jobs_at_their_pace() -> None:
    app = celery_app(Settings(reconcile_every_s=30))
    assert {job.task.name: job.every_s for job in app.jobs} == {
        "pipeline.reconcile_recent": 30,
        "pipeline.check_archive": 60,
        "pipeline.check_freshness": 15,
        "pipeline.check_quarantine": 60,
        "pipeline.verify_invariants": 60,
        "pipeline.archive_events": 300,
        "pipeline.tend_archive": 3600,
        "pipeline.publish_snapshot": 300,
        "pipeline.replay_archive": 15,
        "pipeline.settle_merchants": 60,
        "pipeline.check_settlements": 60,
        "pipeline.make_exports": 5,
        "pipeline.keep_report_hours": 60,
        "pipeline.note_versions": 30,
        "pipeline.drop_exports": 3600,
    }


def test_a_pace_that_would_flood_the_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="reconcile_every_s"):
        Settings(reconcile_every_s=1)


async def test_two_schedulers_run_a_slot_once(database: TestDatabase, world: World, deps: Deps) -> None:
    settings = settings_for(database.app_url, world.url).model_copy(update={"reconcile_every_s": 86_400})
    app = celery_app(settings)
    job = next(job for job in app.jobs if job.task.name == "pipeline.reconcile_recent")
    app.worker._deps = deps
    for _ in range(2):
        await app.worker.run_periodic(job)

    assert len(await rows(deps.engine, "reconciliation_run")) == 8  # two days, four channels, once
    [slot] = await rows(deps.engine, "job_run")
    assert slot["finished_at"] is not None


async def test_the_age_of_what_is_shown_is_measured(deps: Deps, world: World) -> None:
    await ingest(deps.engine, [a_sale(1)])
    world.heads["gateway"] = 1
    await watch_heads(deps)
    await check_freshness(replace(deps, clock=FixedClock(NOON + timedelta(seconds=75))))
    assert REGISTRY.get_sample_value("pipeline_age_seconds", {"stream": "payments"}) == 75


async def test_a_stale_stream_and_an_old_quarantine_alarm_in_the_log(
    deps: Deps, capsys: pytest.CaptureFixture[str]
) -> None:
    await ingest(deps.engine, [a_sale(1), an_event(2, "payment.teleported.v9")])
    [aside] = await rows(deps.engine, "quarantine")
    later = replace(deps, clock=FixedClock(aside["first_seen_at"] + timedelta(minutes=16)))

    await check_freshness(later)
    await check_quarantine(later)

    alarms = capsys.readouterr().out
    assert "stream is stale" in alarms
    assert "events wait in quarantine" in alarms
    assert REGISTRY.get_sample_value("pipeline_quarantine_open") == 1


async def test_a_young_quarantine_does_not_alarm(deps: Deps, capsys: pytest.CaptureFixture[str]) -> None:
    await ingest(deps.engine, [an_event(1, "payment.teleported.v9")])
    [aside] = await rows(deps.engine, "quarantine")
    await check_quarantine(replace(deps, clock=FixedClock(aside["first_seen_at"] + timedelta(minutes=14))))
    assert "events wait in quarantine" not in capsys.readouterr().out
