"""A day is closed 35 days after its end: what comes later is a correction of the day it comes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_rig import (
    NOON,
    TODAY,
    World,
    a_journal,
    a_payment,
    a_sale,
    an_event,
    deps_for,
    ingest,
    rollup_differences,
    rows,
    scalar,
    settings_for,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.rollups import closed_before
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.replay_archive import replay_archive, request_replay
from data_pipeline.operations.replay_quarantine import replay_quarantine
from data_pipeline.operations.report_rollups import report_corrections
from data_pipeline.store.quarantine import Chosen
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock

DETAIL = "SELECT sum(refunded_minor) FROM pipeline.fact_payment"
BOTH = """SELECT (SELECT coalesce(sum(refunded_minor), 0) FROM pipeline.rollup WHERE grain = 'day')
               + (SELECT coalesce(sum(refunded_minor), 0) FROM pipeline.rollup_correction)"""


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    settings = settings_for(database.app_url, world.url, archive_url=f"file://{tmp_path}")
    async with deps_for(settings, engine) as deps:
        yield deps


def sold(days_ago: int, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A payment that was made so many days before today's noon."""
    return a_payment(number, **{"created_at": _text(NOON - timedelta(days=days_ago)), **changes})


async def sell(deps: Deps, days_ago: int, position: int = 1) -> None:
    """Told on the day it happened."""
    at = NOON - timedelta(days=days_ago)
    await ingest(deps.engine, [an_event(position, payment=sold(days_ago), at=at)], observed_at=at)


def refunded(days_ago: int, position: int = 2, amount: int = 250) -> Any:
    """Told today: of a payment that was made so long ago, something was given back."""
    journal = a_journal(position, amount, refund=True)
    payment = sold(days_ago, refunded_minor=amount, version=3)
    return an_event(position, "refund.succeeded.v1", payment=payment, journal=journal)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def test_an_event_of_34_days_moves_the_day_it_belongs_to(deps: Deps) -> None:
    await sell(deps, 34)
    await ingest(deps.engine, [refunded(34)])
    assert await rows(deps.engine, "rollup_correction") == []
    assert await rollup_differences(deps.engine) == []
    assert await scalar(deps.engine, "SELECT refunded_minor FROM pipeline.rollup WHERE grain = 'day'") == 250


async def test_an_event_of_36_days_is_a_line_of_today_and_the_closed_day_stays(deps: Deps) -> None:
    await sell(deps, 36)
    before = await rows(deps.engine, "rollup"), await rows(deps.engine, "rollup_latency")

    await ingest(deps.engine, [refunded(36)])

    assert (await rows(deps.engine, "rollup"), await rows(deps.engine, "rollup_latency")) == before
    [line] = await rows(deps.engine, "rollup_correction")
    assert (line["booked_on"], line["corrects_on"]) == (TODAY, TODAY - timedelta(days=36))
    assert (line["payment_count"], line["captured_minor"], line["refunded_minor"]) == (0, 0, 250)
    assert await scalar(deps.engine, BOTH) == await scalar(deps.engine, DETAIL) == 250


async def test_a_payment_first_heard_of_after_36_days_is_a_whole_line(deps: Deps) -> None:
    at = NOON - timedelta(days=36)
    await ingest(deps.engine, [an_event(1, payment=sold(36), at=at)])
    assert await rows(deps.engine, "rollup") == []
    [line] = await rows(deps.engine, "rollup_correction")
    assert (line["payment_count"], line["approved_count"], line["captured_minor"]) == (1, 1, 1250)


async def test_a_late_change_of_channel_takes_from_one_line_and_gives_to_another(deps: Deps) -> None:
    await sell(deps, 36)
    moved = an_event(2, payment=sold(36, channel="card_sim_2", version=3))
    await ingest(deps.engine, [moved])
    lines = await rows(deps.engine, "rollup_correction", order="channel")
    assert [(line["channel"], line["payment_count"], line["captured_minor"]) for line in lines] == [
        ("card_sim", -1, -1250),
        ("card_sim_2", 1, 1250),
    ]


async def test_lines_of_one_day_about_one_day_add_up_and_an_event_told_twice_books_once(deps: Deps) -> None:
    await sell(deps, 36)
    for _ in range(2):
        await ingest(deps.engine, [refunded(36)])
    await ingest(deps.engine, [refunded(36, position=3, amount=400)])
    [line] = await rows(deps.engine, "rollup_correction")
    assert line["refunded_minor"] == 400
    assert await scalar(deps.engine, BOTH) == await scalar(deps.engine, DETAIL)


async def test_a_batch_of_both_splits_by_day(deps: Deps) -> None:
    await ingest(deps.engine, [a_sale(1), an_event(2, payment=sold(40, 2), at=NOON - timedelta(days=40))])
    assert {row["bucket_at"].date() for row in await rows(deps.engine, "rollup")} == {TODAY}
    assert [row["corrects_on"] for row in await rows(deps.engine, "rollup_correction")] == [
        TODAY - timedelta(days=40)
    ]


async def test_a_replay_closes_what_was_closed_when_it_was_observed(deps: Deps) -> None:
    """A year later everything is old: by the clock of the replay all of it would be corrections."""
    await sell(deps, 36)
    await ingest(deps.engine, [refunded(36), a_sale(3)])
    before = await rows(deps.engine, "rollup"), await rows(deps.engine, "rollup_correction")
    later = replace(deps, clock=FixedClock(NOON + timedelta(days=365)))
    await request_replay(later, "ada", "a drill")
    await replay_archive(later)
    [run] = await rows(deps.engine, "replay_run")
    assert (run["state"], run["detail"]) == ("swapped", None)
    assert (await rows(deps.engine, "rollup"), await rows(deps.engine, "rollup_correction")) == before


async def test_what_waited_in_quarantine_is_observed_when_it_is_replayed(deps: Deps) -> None:
    unknown = an_event(1, "payment.teleported.v9", payment=sold(1))
    await ingest(deps.engine, [unknown])
    [aside] = await rows(deps.engine, "quarantine")
    as_known = aside["payload"].replace("payment.teleported.v9", "payment.captured.v1")
    async with deps.engine.begin() as conn:
        await conn.exec_driver_sql("UPDATE pipeline.quarantine SET payload = $1", (as_known,))
    later = replace(deps, clock=FixedClock(NOON + timedelta(days=36)))
    await replay_quarantine(later, Chosen(ids=[aside["id"]]), "ada")
    [line] = await rows(deps.engine, "rollup_correction")
    assert (line["booked_on"], line["corrects_on"]) == (
        TODAY + timedelta(days=36),
        TODAY - timedelta(days=1),
    )


async def test_a_closed_day_with_corrections_is_published_because_both_add_up(deps: Deps) -> None:
    await sell(deps, 36)
    await ingest(deps.engine, [refunded(36)])
    published = await publish_snapshot(deps)
    assert published is not None
    assert published.manifest.blocked == ()
    days = {one.day for one in published.manifest.partitions["fact_payment"]}
    assert days == {TODAY - timedelta(days=36)}


async def test_corrections_of_a_day_are_in_one_of_its_halves(deps: Deps) -> None:
    await sell(deps, 36)
    await ingest(deps.engine, [refunded(36)])
    midnight, half = NOON.replace(hour=0), timedelta(hours=12)
    halves = [await report_corrections(deps, at, at + half) for at in (midnight, midnight + half)]
    assert [{line["booked_on"] for line in found} for found in halves] == [{TODAY}, set()]


def test_a_day_is_closed_at_the_midnight_that_ends_its_35th_day_after() -> None:
    day = date(2026, 10, 1)
    begins, ends = datetime.fromisoformat("2026-10-01T00:00:00Z"), "2026-10-01T23:59:59.999999Z"
    assert begins >= closed_before(day + timedelta(days=35))
    assert datetime.fromisoformat(ends) < closed_before(day + timedelta(days=36))
