"""The snapshot: what reports read there is what they read live; a day that breaks a rule stays as it was."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pipeline_rig import (
    NOON,
    TODAY,
    World,
    a_case,
    a_sale,
    an_assessment,
    deps_for,
    ingest,
    rows,
    settings_for,
    some_attempts,
)
from prometheus_client import REGISTRY
from seeded_day import Seeded, fill
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.event_sources import RISK
from data_pipeline.clients.object_store import WRITING
from data_pipeline.domain.questions import Grain, Question, ask
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.reports import REPORTS
from data_pipeline.domain.snapshot import Manifest, Partition
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.publish_snapshot import Published, publish_snapshot
from data_pipeline.operations.run_report import NoSnapshot, run_live_report, run_report
from data_pipeline.settings import Settings
from data_pipeline.store import replay as replay_store
from data_pipeline.store import snapshot as snapshot_store
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock

YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    settings = settings_for(
        database.app_url, world.url, snapshot_url=f"file://{tmp_path}/facts", engine="duckdb"
    )
    async with deps_for(settings, engine) as deps:
        yield deps


@pytest.fixture
async def told(deps: Deps, world: World) -> Seeded:
    """The simulated hour, its breaks, and a sale of the day before."""
    seeded = await fill(deps, world, NOON)
    await ingest(deps.engine, [a_sale(len(seeded.payments) + 1, 901, **made_at(YESTERDAY), at=YESTERDAY)])
    return seeded


def made_at(at: Any) -> dict[str, str]:
    return {"created_at": at.isoformat().replace("+00:00", "Z")}


async def publish(deps: Deps) -> Published:
    published = await publish_snapshot(deps)
    assert published is not None
    return published


async def change(engine: AsyncEngine, sql: str) -> None:
    """What no event can do, done in the database: as its owner would."""
    async with engine.begin() as conn:
        await conn.execute(text(sql))


@pytest.fixture
async def owner(database: TestDatabase) -> AsyncIterator[AsyncEngine]:
    """May change what the program may only add to."""
    from platform_kit.db import create_engine

    owner = create_engine(settings_for(database.owner_url))
    yield owner
    await owner.dispose()


def files_of(manifest: Manifest) -> dict[Partition, str]:
    return {
        Partition(table, one.day): one.path for table, files in manifest.partitions.items() for one in files
    }


def questions() -> list[Question]:
    """Every report whole, by everything, and by day in a zone with an odd offset."""
    first, last = NOON - timedelta(days=3), NOON + timedelta(days=1)
    asked = [ask(name, first, last, by=report.options) for name, report in REPORTS.items()]
    asked += [
        ask(name, first, last, zone="Asia/Kolkata", grain=Grain.DAY)
        for name, report in REPORTS.items()
        if report.has_grain
    ]
    return asked


async def test_every_report_over_the_snapshot_is_the_live_one(deps: Deps, told: Seeded) -> None:
    await ingest(deps.engine, [some_attempts(len(told.payments) + 2, "due", "delivered")])
    await ingest(deps.engine, [a_case(10_000)], RISK)
    published = await publish(deps)
    assert published.manifest.blocked == ()
    answered = set()
    for question in questions():
        live, kept = await run_live_report(deps, question), await run_report(deps, question)
        assert kept["rows"] == live["rows"], question
        if kept["rows"]:
            answered.add(question.name)
        assert {name: one["position"] for name, one in kept["as_of"].items()} == {
            name: one["position"] for name, one in live["as_of"].items()
        }
        assert (live["engine"], live["snapshot"]) == ("postgres", None)
        assert (kept["engine"], kept["snapshot"]["version"], kept["snapshot"]["blocked"]) == ("duckdb", 1, [])
    assert answered == set(ReportName)


async def test_a_report_tells_the_position_of_the_snapshot_and_not_of_now(deps: Deps, told: Seeded) -> None:
    await publish(deps)
    read = len(told.payments) + 1
    await ingest(deps.engine, [a_sale(read + 1, 999)])
    question = ask(ReportName.VOLUME, NOON - timedelta(days=1), NOON + timedelta(days=1))
    assert (await run_report(deps, question))["as_of"]["payments"]["position"] == read
    assert (await run_live_report(deps, question))["as_of"]["payments"]["position"] == read + 1


async def test_only_the_days_that_changed_are_written_again(deps: Deps, told: Seeded) -> None:
    first = (await publish(deps)).manifest
    assert (await publish(deps)).looks == ()
    await ingest(deps.engine, [a_sale(len(told.payments) + 2, 999)])
    second = await publish(deps)
    assert {(look.table, look.day) for look in second.looks} == {
        ("fact_payment", TODAY),
        ("fact_transfer", TODAY),
    }
    changed = {one for one, path in files_of(second.manifest).items() if files_of(first).get(one) != path}
    assert changed == {Partition("fact_payment", TODAY), Partition("fact_transfer", TODAY)}


async def test_a_break_that_somebody_changes_is_noticed_without_a_mark(deps: Deps, told: Seeded) -> None:
    await publish(deps)
    await change(deps.engine, "UPDATE pipeline.reconciliation_break SET owner = 'ada' WHERE true")
    assert [look.table for look in (await publish(deps)).looks] == ["reconciliation_break"]


async def test_what_changes_while_a_snapshot_is_made_is_written_by_the_next(deps: Deps, told: Seeded) -> None:
    async with deps.engine.connect() as conn:
        seen = await snapshot_store.dirty(conn)
    await ingest(deps.engine, [a_sale(len(told.payments) + 2, 999)])
    async with deps.engine.begin() as conn:
        await snapshot_store.clean(conn, seen)
        assert set(await snapshot_store.dirty(conn)) == {
            Partition("fact_payment", TODAY),
            Partition("fact_transfer", TODAY),
        }


@pytest.mark.parametrize(
    ("table", "plant", "mend", "rule"),
    [
        (
            "fact_payment",
            "UPDATE pipeline.fact_payment SET currency = 'XXQ' WHERE payment_id LIKE '%901'",
            "UPDATE pipeline.fact_payment SET currency = 'EUR' WHERE payment_id LIKE '%901'",
            "currency_exponent",
        ),
        (
            "fact_payment",
            "UPDATE pipeline.rollup SET captured_minor = captured_minor + 1"
            " WHERE grain = 'day' AND bucket_at < '2026-11-23'",
            "UPDATE pipeline.rollup SET captured_minor = captured_minor - 1"
            " WHERE grain = 'day' AND bucket_at < '2026-11-23'",
            "rollup_equals_detail",
        ),
        (
            "fact_transfer",
            "UPDATE pipeline.fact_transfer SET line = 1 WHERE aggregate_id LIKE '%901'",
            "UPDATE pipeline.fact_transfer SET line = 0 WHERE aggregate_id LIKE '%901'",
            "journals_are_whole",
        ),
    ],
)
async def test_a_bad_day_is_not_published_its_old_file_stands_and_the_rest_goes_on(
    deps: Deps,
    told: Seeded,
    owner: AsyncEngine,
    table: str,
    plant: str,
    mend: str,
    rule: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = Partition(table, YESTERDAY.date())
    before = (await publish(deps)).manifest
    position = len(told.payments) + 1
    await change(owner, plant)
    await ingest(deps.engine, [a_sale(position + 1, 999)])
    async with deps.engine.begin() as conn:
        await snapshot_store.mark(conn, [bad])

    after = await publish(deps)

    assert rule in {one.rule for look in after.looks for one in look.failures}
    assert after.manifest.blocked == (bad,)
    assert files_of(after.manifest)[bad] == files_of(before)[bad]
    assert after.manifest.find(bad).positions["payments"] == position  # type: ignore[union-attr, index]
    today = Partition(table, TODAY)
    assert files_of(after.manifest)[today] != files_of(before)[today]
    answer = await run_report(deps, ask(ReportName.VOLUME, YESTERDAY, NOON))
    assert answer["snapshot"]["blocked"] == [{"table": table, "day": bad.day}]
    assert "quality rule broken" in capsys.readouterr().out
    assert REGISTRY.get_sample_value("pipeline_quality_blocked", {"table": table}) == 1
    assert [look.day for look in (await publish(deps)).looks] == [bad.day]  # it is looked at until it is well

    await change(owner, mend)
    mended = await publish(deps)
    assert mended.manifest.blocked == ()
    assert mended.manifest.find(bad).positions is None  # type: ignore[union-attr]
    assert REGISTRY.get_sample_value("pipeline_quality_blocked", {"table": table}) == 0
    assert (await publish(deps)).looks == ()


async def test_a_rule_that_only_warns_is_told_and_the_day_is_published(
    deps: Deps, told: Seeded, owner: AsyncEngine
) -> None:
    await change(
        owner,
        "UPDATE pipeline.fact_payment SET authorised_minor = captured_minor - 1 WHERE payment_id LIKE '%901'",
    )
    published = await publish(deps)
    assert published.manifest.blocked == ()
    assert Partition("fact_payment", YESTERDAY.date()) in files_of(published.manifest)
    [failure] = [one for look in published.looks for one in look.failures]
    assert (failure.rule, failure.severity) == ("captured_within_authorised", "warn")
    [kept] = [row for row in await rows(deps.engine, "quality_check") if row["failures"]]
    assert kept["failures"][0]["sample"] == [{"payment_id": f"pay_{901:026d}"}]
    assert (kept["failed_count"], kept["is_blocked"]) == (1, False)


async def test_a_snapshot_that_fails_before_its_manifest_leaves_the_old_one(
    deps: Deps, told: Seeded, tmp_path: Path
) -> None:
    first = (await publish(deps)).manifest
    await ingest(deps.engine, [a_sale(len(told.payments) + 2, 999)])
    in_the_way = tmp_path / "facts" / f"manifest.json{WRITING}"
    in_the_way.mkdir()
    with pytest.raises(OSError):
        await publish_snapshot(deps)
    kept = await deps.snapshots.manifest()
    assert (kept.version, files_of(kept)) == (first.version, files_of(first))
    in_the_way.rmdir()
    assert len((await publish(deps)).looks) == 2  # the marks are still there


async def test_files_that_no_manifest_names_go_after_an_hour_and_nothing_else_does(
    deps: Deps, told: Seeded, tmp_path: Path
) -> None:
    first = (await publish(deps)).manifest
    foreign = tmp_path / "facts" / "notes.parquet"
    foreign.write_bytes(b"not ours")
    await ingest(deps.engine, [a_sale(len(told.payments) + 2, 999)])
    second = (await publish(deps)).manifest
    replaced = first.paths() - second.paths()
    assert len(replaced) == 2
    assert all((tmp_path / "facts" / path).exists() for path in replaced)
    in_a_year = replace(deps, clock=FixedClock(NOON + timedelta(days=365)))
    await publish(in_a_year)
    assert not any((tmp_path / "facts" / path).exists() for path in replaced)
    assert all((tmp_path / "facts" / path).exists() for path in second.paths())
    assert foreign.exists()


async def test_a_file_that_was_named_until_now_stays_for_one_more_run_however_old_it_is(
    deps: Deps, told: Seeded, tmp_path: Path
) -> None:
    first = (await publish(deps)).manifest
    long_ago = (NOON - timedelta(hours=2)).timestamp()
    for path in first.paths():
        os.utime(tmp_path / "facts" / path, (long_ago, long_ago))
    await ingest(deps.engine, [a_sale(len(told.payments) + 2, 999)])
    replaced = first.paths() - (await publish(deps)).manifest.paths()
    assert len(replaced) == 2
    assert all((tmp_path / "facts" / path).exists() for path in replaced)
    await publish(deps)
    assert not any((tmp_path / "facts" / path).exists() for path in replaced)


async def test_what_is_asked_while_a_replay_swaps_reads_the_new_tables_whole(
    deps: Deps, told: Seeded, owner: AsyncEngine
) -> None:
    """A moment before the swap's commit knows no row of the new tables: nobody may stop at one and read them."""
    question = ask(ReportName.VOLUME, YESTERDAY, NOON + timedelta(days=1))
    before = (await run_live_report(deps, question))["rows"]
    async with owner.begin() as conn:
        for sql in (
            "LOCK TABLE pipeline.fact_payment IN ACCESS EXCLUSIVE MODE",
            "CREATE TABLE pipeline.rebuilt (LIKE pipeline.fact_payment INCLUDING ALL)",
            "INSERT INTO pipeline.rebuilt TABLE pipeline.fact_payment",
            "ALTER TABLE pipeline.fact_payment RENAME TO previous",
            "ALTER TABLE pipeline.rebuilt RENAME TO fact_payment",
        ):
            await conn.execute(text(sql))
        asked = asyncio.create_task(run_live_report(deps, question))
        made = asyncio.create_task(publish(deps))
        async with asyncio.timeout(30):
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL")
            while await conn.scalar(waiting) < 2:  # noqa: ASYNC110 - a lock of another connection sets no event
                await asyncio.sleep(0.05)
    assert (await asked)["rows"] == before
    file = (await made).manifest.find(Partition("fact_payment", TODAY))
    assert file is not None
    assert file.row_count == sum(row["payment_count"] for row in before) - 1  # one was made yesterday


async def test_the_tables_that_a_reader_holds_are_those_of_the_swap_in_its_order(owner: AsyncEngine) -> None:
    async with owner.connect() as conn:
        assert await conn.scalar(text("SELECT pipeline.replayed_tables()")) == list(replay_store.REPLAYED)


async def test_days_beyond_retention_leave_the_snapshot(deps: Deps, told: Seeded) -> None:
    assert Partition("fact_payment", YESTERDAY.date()) in files_of((await publish(deps)).manifest)
    short = replace(deps, settings=deps.settings.model_copy(update={"snapshot_keep_days": 1}))
    tomorrow = replace(short, clock=FixedClock(NOON + timedelta(days=1)))
    kept = files_of((await publish(tomorrow)).manifest)
    assert {one.day for one in kept} == {TODAY}


async def test_days_that_are_not_reached_in_time_wait_and_are_told(deps: Deps, told: Seeded) -> None:
    cut_off = await publish_snapshot(deps, budget_s=-1)
    assert cut_off is not None
    assert set(cut_off.manifest.waiting) == await _all(deps)
    answer = await run_report(deps, ask(ReportName.VOLUME, YESTERDAY, NOON))
    assert (answer["rows"], len(answer["snapshot"]["waiting"])) == ([], len(cut_off.manifest.waiting))
    whole = (await publish(deps)).manifest
    assert whole.waiting == ()
    assert set(files_of(whole)) == await _all(deps)


async def test_a_day_that_would_not_fit_into_memory_waits_and_the_others_do_not(
    deps: Deps, told: Seeded, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(deps, settings=deps.settings.model_copy(update={"snapshot_rows_max": 20}))
    manifest = (await publish(small)).manifest
    assert Partition("fact_payment", TODAY) in manifest.waiting
    assert Partition("fact_payment", YESTERDAY.date()) in files_of(manifest)
    assert "day too large for a snapshot" in capsys.readouterr().out
    assert REGISTRY.get_sample_value("pipeline_snapshot_waiting", {"table": "fact_payment"}) == 1
    assert Partition("fact_payment", TODAY) in files_of((await publish(deps)).manifest)


async def test_a_lost_snapshot_is_made_again_whole(deps: Deps, told: Seeded, tmp_path: Path) -> None:
    first = (await publish(deps)).manifest
    shutil.rmtree(tmp_path / "facts")
    assert files_of((await publish(deps)).manifest) == files_of(first)


async def test_any_location_of_fsspec_will_do_and_duckdb_reads_it_there(deps: Deps, told: Seeded) -> None:
    elsewhere = replace(
        deps, settings=deps.settings.model_copy(update={"snapshot_url": "memory://bucket/facts"})
    )
    await publish(elsewhere)
    question = ask(ReportName.VOLUME, NOON - timedelta(days=1), NOON + timedelta(days=1), by=["channel"])
    assert (await run_report(elsewhere, question))["rows"] == (await run_live_report(deps, question))["rows"]
    document = json.loads(fsspec.filesystem("memory").cat_file("/bucket/facts/manifest.json"))
    [payments] = [one for one in document["tables"]["fact_payment"]["partitions"] if one["day"] == str(TODAY)]
    assert payments["path"].startswith(f"fact_payment/event_date={TODAY}/part-")


async def test_an_empty_warehouse_has_a_snapshot_and_empty_reports(deps: Deps) -> None:
    question = ask(ReportName.CHARGEBACKS, YESTERDAY, NOON)
    with pytest.raises(NoSnapshot):
        await run_report(deps, question)
    await publish(deps)
    assert (await run_report(deps, question))["rows"] == []


async def test_a_replayed_warehouse_is_written_anew(deps: Deps, told: Seeded) -> None:
    await publish(deps)
    async with deps.engine.begin() as conn:
        await snapshot_store.mark_all(conn)
    looked = {Partition(look.table, look.day) for look in (await publish(deps)).looks}
    assert looked == await _all(deps)


async def test_assessments_are_marked_by_their_own_stream(deps: Deps) -> None:
    await ingest(deps.engine, [an_assessment(1)], RISK)
    assert files_of((await publish(deps)).manifest).keys() == {
        Partition("fact_assessment", date(2026, 11, 23))
    }


async def test_without_a_place_nothing_is_published_and_history_cannot_be_asked_for(
    database: TestDatabase, engine: AsyncEngine
) -> None:
    async with deps_for(settings_for(database.app_url), engine) as deps:
        assert await publish_snapshot(deps) is None
    with pytest.raises(ValueError, match="SNAPSHOT_URL"):
        Settings(engine="duckdb")
    assert Settings(archive_url="s3://bucket/events/").facts_url == "s3://bucket/events/facts"


async def _all(deps: Deps) -> set[Partition]:
    async with deps.engine.connect() as conn:
        return await snapshot_store.every_partition(conn)
