"""Replay from the archive: equal gold, half-built copies that nobody sees, and no way out of the platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from merchant_story import a_day
from pipeline_rig import (
    NOON,
    World,
    a_case,
    a_merchant,
    a_sale,
    an_event,
    deps_for,
    ingest,
    rollup_differences,
    rows,
    scalar,
    settings_for,
    some_attempts,
)
from seeded_day import simulate
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.event_sources import RISK
from data_pipeline.domain.snapshot import Partition
from data_pipeline.operations import replay_archive as job
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.replay_archive import (
    NoArchive,
    ReplayOpen,
    cancel_replay,
    replay_archive,
    request_replay,
)
from data_pipeline.operations.tend_archive import drop_old_partitions, tend_archive
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.store import replay as replay_store
from data_pipeline.store import snapshot as snapshot_store
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock, isoformat
from platform_kit.db import create_engine

GOLD = (
    "fact_payment", "fact_refund", "fact_transfer", "fact_assessment", "fact_dispute", "fact_payout", "fact_reserve",
    "merchant_version", "fact_webhook_attempt", "fact_case", "rollup", "rollup_latency", "rollup_account",
)  # fmt: skip


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    settings = settings_for(database.app_url, world.url, archive_url=f"file://{tmp_path}/archive")
    async with deps_for(settings, engine) as deps:
        told = simulate(NOON, count=60)
        told.payments += a_day(first=len(told.payments) + 1).events
        last, seen = len(told.payments), len(told.assessments)
        told.payments += [
            a_merchant(last + 1),
            some_attempts(last + 2, "due", "delivered"),
            a_merchant(last + 3, "Bar"),
        ]
        told.assessments += [a_case(seen + 1), a_case(seen + 2, "case.closed.v1", closed_at=isoformat(NOON))]
        world.events["gateway"], world.events["risk"] = told.payments, told.assessments
        half = len(told.payments) // 2
        await ingest(engine, told.payments[:half])
        await archive_events(deps)
        await ingest(engine, told.payments[half:])
        await ingest(engine, told.assessments, RISK)
        yield deps


async def gold(deps: Deps) -> dict[str, list[dict[str, Any]]]:
    """Rows that count: a roll-up's row that fell back to nothing says what one that never was says."""
    found = {table: await rows(deps.engine, table, order=f"{table}::text") for table in GOLD}
    return {table: [row for row in kept if row.get("payment_count") != 0] for table, kept in found.items()}


async def the_run(deps: Deps) -> dict[str, Any]:
    async with deps.engine.connect() as conn:
        [run, *_] = await replay_store.latest(conn, 1)
    return run


async def test_a_replay_gives_equal_gold(deps: Deps) -> None:
    before = await gold(deps)
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps)

    run = await the_run(deps)
    assert (run["state"], run["totals"]["differing"], run["refused_count"]) == ("swapped", {}, 0)
    assert (
        run["done_count"]
        == run["row_count"]
        == await scalar(deps.engine, "SELECT count(*) FROM pipeline.stored_event")
    )
    assert await gold(deps) == before
    assert await rollup_differences(deps.engine) == []
    assert {check.is_kept for check in await verify_invariants(deps)} == {True}


async def test_the_consumer_goes_on_with_the_new_tables_and_another_replay_follows(deps: Deps) -> None:
    for number in (1, 2):
        await request_replay(deps, "ada", "a drill")
        await replay_archive(deps)
        assert (await the_run(deps))["state"] == "swapped"
        await ingest(deps.engine, [a_sale(9000 + number)])
        assert await rollup_differences(deps.engine) == []
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.previous_fact_payment") > 50


async def test_after_a_swap_the_tables_are_what_migrations_made(deps: Deps, database: TestDatabase) -> None:
    """Names of indexes and constraints, columns, and what the program may do."""
    sql = """
        SELECT c.relname || ' ' || coalesce(i.indexdef, '') || coalesce(con.conname, '')
               || coalesce(pg_get_constraintdef(con.oid), '')
               || coalesce(array_to_string(c.relacl, ','), '') AS what
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'pipeline'
        LEFT JOIN pg_indexes i ON i.schemaname = 'pipeline' AND i.tablename = c.relname
        LEFT JOIN pg_constraint con ON con.conrelid = c.oid AND con.contype <> 'n'
        WHERE c.relkind = 'r' AND c.relname = ANY(:names) ORDER BY 1
    """
    async with deps.engine.connect() as conn:
        before = list((await conn.execute(text(sql), {"names": list(GOLD)})).scalars())
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps)
    async with deps.engine.connect() as conn:
        assert list((await conn.execute(text(sql), {"names": list(GOLD)})).scalars()) == before


async def test_readers_never_see_a_half_built_table(deps: Deps) -> None:
    """A reader asks all the time for what must be equal in every whole state, and for a number that only grows."""
    counts: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            async with deps.engine.connect() as conn:
                row = (
                    await conn.execute(
                        text(
                            "SELECT (SELECT count(*) FROM pipeline.fact_payment) AS detail,"
                            " (SELECT sum(payment_count) FROM pipeline.rollup WHERE grain = 'day') AS rolled"
                        )
                    )
                ).one()
            assert row.detail == row.rolled
            counts.append(row.detail)

    reading = asyncio.create_task(read())
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps)
    done.set()
    await reading
    assert (await the_run(deps))["state"] == "swapped"
    assert len(counts) > 10
    assert set(counts) == {62}  # sixty simulated, two of the story


async def test_one_that_is_killed_goes_on_with_the_files_that_are_not_done(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive_events(deps)
    await request_replay(deps, "ada", "a drill")
    before = await gold(deps)
    apply = job.apply_facts
    calls = 0

    async def dies(conn: Any, facts: Any, observed_on: Any) -> None:
        nonlocal calls
        calls += 1
        await apply(conn, facts, observed_on)
        if calls == 2:
            raise OSError("killed")

    monkeypatch.setattr(job, "apply_facts", dies)
    with pytest.raises(OSError, match="killed"):
        await replay_archive(deps)
    run = await the_run(deps)
    assert run["state"] == "building"
    assert 0 < run["done_count"] < run["row_count"]
    assert await gold(deps) == before
    monkeypatch.undo()

    await ingest(deps.engine, [a_sale(9001)])  # the platform went on meanwhile
    before = await gold(deps)
    await replay_archive(deps)
    run = await the_run(deps)
    assert (run["state"], run["totals"]["differing"]) == ("swapped", {})
    assert run["done_count"] == run["row_count"]
    assert await gold(deps) == before


async def test_with_no_time_left_it_stops_between_files_and_compaction_keeps_away(deps: Deps) -> None:
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps, budget_s=-1)
    assert (await the_run(deps))["state"] == "building"
    tomorrow = replace(deps, clock=FixedClock(NOON + timedelta(days=1)))
    assert (await tend_archive(tomorrow)).merged == 0
    await replay_archive(deps)
    assert (await the_run(deps))["state"] == "swapped"
    assert (await tend_archive(tomorrow)).merged > 0


async def test_a_day_that_a_replay_takes_away_is_marked_for_the_snapshot_too(
    deps: Deps, database: TestDatabase
) -> None:
    wrong = Partition("fact_transfer", date(2026, 10, 1))
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        one = "(SELECT min(journal_id) FROM pipeline.fact_transfer)"
        await conn.execute(
            text(
                f"UPDATE pipeline.fact_transfer SET occurred_at = '2026-10-01 12:00Z' WHERE journal_id = {one}"
            )
        )
        await conn.execute(text("DELETE FROM pipeline.dirty_partition"))
    await admin.dispose()
    await request_replay(deps, "ada", "a day that never was")
    await replay_archive(deps)
    async with deps.engine.connect() as conn:
        marked = await snapshot_store.dirty(conn)
        assert wrong not in await snapshot_store.every_partition(conn)
    assert wrong in marked


async def test_other_totals_are_not_swapped_in_unless_somebody_allowed_it(
    deps: Deps, database: TestDatabase
) -> None:
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.fact_transfer WHERE line = 0 AND currency = 'EUR'"))
    await admin.dispose()
    broken = await gold(deps)

    await request_replay(deps, "ada", "transfers were lost")
    await replay_archive(deps)
    run = await the_run(deps)
    assert run["state"] == "differs"
    assert set(run["totals"]["differing"]) == {"fact_transfer", "moved EUR"}
    assert await gold(deps) == broken

    await request_replay(deps, "ada", "transfers were lost", may_differ=True)
    await replay_archive(deps)
    assert (await the_run(deps))["state"] == "swapped"
    assert {check.is_kept for check in await verify_invariants(deps)} == {True}


async def as_admin(database: TestDatabase, *statements: str) -> None:
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        for statement in statements:
            await conn.execute(text(statement))
    await admin.dispose()


async def failed(deps: Deps) -> str:
    """What the run says of its failure."""
    run = await the_run(deps)
    assert run["state"] == "failed", run
    return str(run["detail"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE pipeline.fact_payment ADD COLUMN country varchar", "country"),
        ("ALTER TABLE pipeline.fact_payment ALTER COLUMN reference SET NOT NULL", "NOT NULL"),
        ("ALTER TABLE pipeline.fact_refund ALTER COLUMN reason TYPE text", "column 6 reason text"),
        ("ALTER TABLE pipeline.rollup DROP CONSTRAINT rollup_grain_check", "rollup_grain_check"),
        ("CREATE INDEX new_idx ON pipeline.fact_transfer (kind)", "index new_idx"),
    ],
)
async def test_a_table_that_was_changed_meanwhile_is_not_swapped_for_its_old_shape(
    deps: Deps, database: TestDatabase, change: str, said: str
) -> None:
    await request_replay(deps, "ada", "a drill", may_differ=True)
    await replay_archive(deps, budget_s=-1)
    await as_admin(
        database, "UPDATE pipeline.fact_payment SET reference = '' WHERE reference IS NULL", change
    )
    before = await gold(deps)
    await replay_archive(deps)
    detail = await failed(deps)
    assert "was changed while its copy was built" in detail
    assert said in detail
    assert await gold(deps) == before

    await request_replay(deps, "ada", "again", may_differ=True)
    await replay_archive(deps)
    assert (await the_run(deps))["state"] == "swapped"


async def test_copies_that_the_statements_do_not_fit_end_it_in_words(
    deps: Deps, database: TestDatabase
) -> None:
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps, budget_s=-1)
    await as_admin(database, "ALTER TABLE pipeline.rebuilt_fact_payment DROP COLUMN reference")
    await replay_archive(deps)
    assert "reference" in await failed(deps)


async def test_the_functions_do_nothing_without_a_replay_in_the_right_state(deps: Deps) -> None:
    async def refused(sql: str) -> str:
        with pytest.raises(DBAPIError) as refusal:
            async with deps.engine.begin() as conn:
                await conn.execute(text(sql))
        return str(refusal.value)

    before = await gold(deps)
    assert "No replay is requested" in await refused("SELECT pipeline.begin_replay()")
    assert "No replay is being built" in await refused("SELECT pipeline.swap_replayed()")
    await request_replay(deps, "ada", "a drill")
    assert "No replay is being built" in await refused("SELECT pipeline.swap_replayed()")
    await replay_archive(deps, budget_s=-1)
    assert "No replay is requested" in await refused("SELECT pipeline.begin_replay()")
    assert "is empty and the table is not" in await refused("SELECT pipeline.swap_replayed()")
    assert await gold(deps) == before
    await replay_archive(deps)
    assert "No replay is requested" in await refused("SELECT pipeline.begin_replay()")
    assert await gold(deps) == before


async def test_the_functions_are_the_owner_s_and_look_nowhere_else(deps: Deps) -> None:
    sql = """
        SELECT pg_get_userbyid(proowner) AS owner, prosecdef, proconfig, proacl::text AS acl FROM pg_proc
        WHERE pronamespace = 'pipeline'::regnamespace AND proname IN ('begin_replay', 'swap_replayed')
    """
    async with deps.engine.connect() as conn:
        found = (await conn.execute(text(sql))).all()
    assert len(found) == 2
    for function in found:
        assert (function.owner, function.prosecdef) == ("pipeline_owner", True)
        assert "search_path=pipeline, pg_temp" in function.proconfig
        assert function.acl == "{pipeline_owner=X/pipeline_owner,pipeline_app=X/pipeline_owner}"


async def test_what_retention_let_go_is_not_erased_from_the_facts(deps: Deps) -> None:
    later = replace(
        deps,
        clock=FixedClock(NOON + timedelta(days=40)),
        settings=deps.settings.model_copy(update={"archive_keep_days": 30}),
    )
    await archive_events(deps)
    assert await drop_old_partitions(later, dry_run=False)
    await ingest(deps.engine, [a_sale(9001)])
    before = await gold(deps)
    await request_replay(deps, "ada", "release 42", may_differ=True)
    await replay_archive(deps)
    detail = await failed(deps)
    assert "The archive holds" in detail
    assert "retention" in detail
    assert await gold(deps) == before
    assert await scalar(deps.engine, "SELECT to_regclass('pipeline.rebuilt_rollup') IS NULL")


async def test_a_file_that_left_the_manifest_meanwhile_is_not_erased_from_the_facts(
    deps: Deps, database: TestDatabase
) -> None:
    await request_replay(deps, "ada", "release 42", may_differ=True)
    await replay_archive(deps, budget_s=-1)
    await as_admin(
        database,
        "DELETE FROM pipeline.archive_file WHERE path IN (SELECT min(path) FROM pipeline.replay_file)",
    )
    before = await gold(deps)
    await replay_archive(deps)
    assert "fewer than are stored" in await failed(deps)
    assert await gold(deps) == before


@pytest.mark.parametrize("column", ["amount_minor", "captured_minor", "refunded_minor", "declined_count"])
async def test_roll_ups_are_compared_by_what_they_add_up(
    deps: Deps, database: TestDatabase, column: str
) -> None:
    await as_admin(
        database,
        f"UPDATE pipeline.rollup SET {column} = {column} + 1 WHERE grain = 'day' AND payment_count > 0",
    )
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps)
    run = await the_run(deps)
    assert run["state"] == "differs"
    assert all(" by day" in name for name in run["totals"]["differing"])


async def test_one_at_a_time_and_a_cancelled_one_touches_nothing(deps: Deps) -> None:
    run = await request_replay(deps, "ada", "a drill")
    with pytest.raises(ReplayOpen):
        await request_replay(deps, "eve", "me too")
    assert (await cancel_replay(deps, run["id"], "ada"))["state"] == "cancelled"
    await replay_archive(deps)
    assert await scalar(deps.engine, "SELECT to_regclass('pipeline.rebuilt_rollup') IS NULL")
    with pytest.raises(NoArchive):
        await request_replay(replace(deps, archive=type(deps.archive)("")), "ada", "nowhere")


async def test_a_damaged_file_ends_it_before_anything_is_swapped(deps: Deps, tmp_path: Path) -> None:
    await archive_events(deps)
    await request_replay(deps, "ada", "a drill")
    before = await gold(deps)
    next(iter(tmp_path.rglob("*.parquet"))).write_bytes(b"something else")  # noqa: ASYNC240 - one small file
    await replay_archive(deps)
    run = await the_run(deps)
    assert run["state"] == "failed"
    assert "checksum differs" in run["detail"]
    assert await gold(deps) == before


async def test_what_is_set_aside_counts_as_before(deps: Deps) -> None:
    await ingest(deps.engine, [an_event(9001, "payment.teleported.v9")])
    await request_replay(deps, "ada", "a drill")
    await replay_archive(deps)
    assert (await the_run(deps))["state"] == "swapped"
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.quarantine") == 1


async def test_nothing_leaves_the_platform_in_a_replay(deps: Deps) -> None:
    """With every client of the world replaced by one that breaks on its first use, a replay runs through."""

    class Nobody:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"a replay asked for {name}")

    needed = {"settings", "engine", "clock", "archive"}
    alone = replace(deps, **{field.name: Nobody() for field in fields(Deps) if field.name not in needed})
    await request_replay(alone, "ada", "a drill")
    await replay_archive(alone)
    assert (await the_run(deps))["state"] == "swapped"
