"""Reconciling a day: over HTTP from the channel, against the facts, into runs and breaks that keep their ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from pipeline_rig import NOON, TODAY, World, a_line, a_sale, ingest, rows, scalar
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.channel_files import FileNotAvailable
from data_pipeline.operations import reconcile_day as operation
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import (
    DayInFuture,
    LedgerBehind,
    ReconcileDay,
    UnknownChannel,
    reconcile_day,
)
from data_pipeline.operations.reconcile_recent import reconcile_recent
from platform_kit.clock import FixedClock

TODAY_AT_CARDS = ReconcileDay("card_sim", TODAY)
EARLIER = NOON - timedelta(hours=1)


@pytest.fixture
async def booked(engine: AsyncEngine, world: World) -> Callable[[int], Awaitable[None]]:
    """Book that many sales an hour ago."""

    async def book(count: int) -> None:
        await ingest(engine, [a_sale(number, at=EARLIER) for number in range(1, count + 1)])
        world.heads["gateway"] = count

    return book


async def test_a_day_that_agrees_is_balanced(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(3)
    world.settle([a_line(1), a_line(2), a_line(3)])

    run = await reconcile_day(deps, TODAY_AT_CARDS)

    assert (run.state, run.matched_count, run.break_count, run.position) == ("balanced", 3, 0, 3)
    [totals] = run.totals
    assert (totals["ledger_minor"], totals["file_minor"], totals["fee_minor"]) == (3750, 3750, 129)
    assert await rows(deps.engine, "reconciliation_break") == []


async def test_each_difference_becomes_one_break_with_the_evidence_of_both_sides(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(3)
    world.settle([a_line(2, amount_minor=1300), a_line(3), a_line(3), a_line(9, currency="USD")])

    run = await reconcile_day(deps, TODAY_AT_CARDS)

    assert (run.state, run.matched_count, run.break_count) == ("broken", 1, 4)
    found = {row["break_class"]: row for row in await rows(deps.engine, "reconciliation_break")}
    assert set(found) == {
        "missing_in_channel_file",
        "amount_differs",
        "duplicate_in_file",
        "missing_in_ledger",
    }
    differs = found["amount_differs"]
    assert (differs["ledger_amount_minor"], differs["file_amount_minor"], differs["file_line"]) == (
        1250,
        1300,
        2,
    )
    assert differs["payment_id"] == f"pay_{2:026d}"
    assert differs["file_sha256"] == await scalar(deps.engine, "SELECT sha256 FROM pipeline.settlement_file")
    assert found["missing_in_ledger"]["file_currency"] == "USD"
    assert found["missing_in_channel_file"]["file_sha256"] is None


async def test_a_rerun_keeps_break_ids_and_their_age_and_closes_what_is_gone(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(2)
    world.settle([])
    await reconcile_day(deps, TODAY_AT_CARDS)
    before = {row["id"]: row for row in await rows(deps.engine, "reconciliation_break")}
    assert len(before) == 2

    world.settle([a_line(1)])
    later = replace(deps, clock=FixedClock(NOON + timedelta(minutes=5)))
    await reconcile_day(later, TODAY_AT_CARDS)

    after = {row["id"]: row for row in await rows(deps.engine, "reconciliation_break")}
    assert after.keys() == before.keys()
    closed = [row for row in after.values() if row["closed_at"]]
    still_open = [row for row in after.values() if not row["closed_at"]]
    assert [row["payment_id"] for row in closed] == [f"pay_{1:026d}"]
    assert [row["opened_at"] for row in still_open] == [NOON]
    assert still_open[0]["last_seen_at"] == NOON + timedelta(minutes=5)


async def test_a_break_that_comes_back_opens_again_under_its_id(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(1)
    for minutes, lines in enumerate(([], [a_line(1)], [])):
        world.settle(lines)
        await reconcile_day(
            replace(deps, clock=FixedClock(NOON + timedelta(minutes=minutes))), TODAY_AT_CARDS
        )

    [kept] = await rows(deps.engine, "reconciliation_break")
    assert kept["closed_at"] is None
    assert kept["opened_at"] == NOON


async def test_the_same_file_again_is_kept_once(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(1)
    world.settle([a_line(1)])
    await reconcile_day(deps, TODAY_AT_CARDS)
    await reconcile_day(deps, TODAY_AT_CARDS)

    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.settlement_file") == 1
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.reconciliation_run") == 2


async def test_of_a_growing_file_only_the_newest_two_keep_their_bytes(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(4)
    for count in range(1, 5):
        world.settle([a_line(number) for number in range(1, count + 1)])
        await reconcile_day(replace(deps, clock=FixedClock(NOON + timedelta(minutes=count))), TODAY_AT_CARDS)

    files = await rows(deps.engine, "settlement_file", order="fetched_at")
    assert [row["raw"] is not None for row in files] == [False, False, True, True]
    assert all(len(row["sha256"]) == 64 for row in files)


async def test_of_the_runs_of_a_day_the_newest_are_kept(
    deps: Deps, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_pipeline.store.runs.RUNS_KEPT", 2)
    kept = []
    for minutes in range(4):
        later = replace(deps, clock=FixedClock(NOON + timedelta(minutes=minutes)))
        kept.append((await reconcile_day(later, TODAY_AT_CARDS)).id)
    assert [row["id"] for row in await rows(deps.engine, "reconciliation_run", order="finished_at")] == kept[
        2:
    ]


async def test_a_bad_file_is_refused_whole_and_changes_no_break(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(2)
    world.settle([a_line(1)])
    await reconcile_day(deps, TODAY_AT_CARDS)
    before = await rows(deps.engine, "reconciliation_break")
    assert len(before) == 1

    raw = world.settle([a_line(1), a_line(2)])
    world.files["card_sim", TODAY] = raw.replace(b"END,2", b"END,3")
    run = await reconcile_day(replace(deps, clock=FixedClock(NOON + timedelta(minutes=1))), TODAY_AT_CARDS)

    assert (run.state, run.file_count, run.matched_count) == ("refused", 0, 0)
    assert await rows(deps.engine, "reconciliation_break") == before
    kept = (await rows(deps.engine, "settlement_file", order="fetched_at"))[-1]
    assert (kept["fault"], kept["fault_line"], kept["line_count"]) == ("unbalanced", 4, None)
    assert kept["raw"] == world.files["card_sim", TODAY]


async def test_a_charge_over_midnight_pairs_with_the_file_of_the_next_day(
    deps: Deps, world: World, engine: AsyncEngine
) -> None:
    """Booked at 23:59:59, settled by the channel's clock after midnight."""
    yesterday = TODAY - timedelta(days=1)
    just_before = NOON.replace(hour=0) - timedelta(seconds=1)
    await ingest(engine, [a_sale(1, at=just_before)])
    world.heads["gateway"] = 1
    world.settle([], yesterday)
    first = await reconcile_day(deps, ReconcileDay("card_sim", yesterday))
    assert [row["break_class"] for row in await rows(engine, "reconciliation_break")] == ["timing"]
    assert first.state == "broken"

    world.settle([a_line(1)])
    today = await reconcile_day(deps, TODAY_AT_CARDS)
    again = await reconcile_day(
        replace(deps, clock=FixedClock(NOON + timedelta(minutes=1))), ReconcileDay("card_sim", yesterday)
    )

    assert (today.state, today.matched_count) == ("balanced", 1)
    assert (again.state, again.excluded_count) == ("balanced", 1)
    assert [row["closed_at"] is not None for row in await rows(engine, "reconciliation_break")] == [True]


async def test_a_line_that_two_days_files_hold_is_a_duplicate_on_the_second_day(
    deps: Deps, world: World, engine: AsyncEngine
) -> None:
    yesterday = TODAY - timedelta(days=1)
    await ingest(engine, [a_sale(1, at=NOON - timedelta(days=1))])
    world.heads["gateway"] = 1
    world.settle([a_line(1, settled_on=yesterday)], yesterday)
    world.settle([a_line(1)])
    for day in (yesterday, TODAY):
        await reconcile_day(deps, ReconcileDay("card_sim", day))
    assert [(row["day"], row["break_class"]) for row in await rows(engine, "reconciliation_break")] == [
        (TODAY, "duplicate_in_file")
    ]


async def test_a_run_over_an_older_file_does_not_undo_a_newer_one(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(1)
    world.settle([a_line(1)])
    await reconcile_day(replace(deps, clock=FixedClock(NOON + timedelta(minutes=1))), TODAY_AT_CARDS)

    world.settle([])
    await reconcile_day(deps, TODAY_AT_CARDS)

    assert await rows(deps.engine, "reconciliation_break") == []


async def test_without_the_gateways_head_nothing_is_judged(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(1)
    world.is_down.add("gateway")
    with pytest.raises(LedgerBehind):
        await reconcile_day(deps, TODAY_AT_CARDS)
    assert await rows(deps.engine, "reconciliation_run") == []
    assert await rows(deps.engine, "settlement_file") == []


async def test_a_warehouse_that_stays_behind_is_not_judged(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await booked(1)
    world.heads["gateway"] = 2
    monkeypatch.setattr(operation, "CATCH_UP_MAX_S", 0.4)
    with pytest.raises(LedgerBehind, match="position 1 of 2"):
        await reconcile_day(deps, TODAY_AT_CARDS)
    assert await rows(deps.engine, "reconciliation_run") == []


async def test_a_channel_that_is_down_leaves_nothing_behind(deps: Deps, world: World) -> None:
    world.is_down.add("channels")
    with pytest.raises(FileNotAvailable):
        await reconcile_day(deps, TODAY_AT_CARDS)
    assert await rows(deps.engine, "reconciliation_run") == []


async def test_only_known_channels_and_days_that_have_begun_are_reconciled(deps: Deps) -> None:
    with pytest.raises(UnknownChannel):
        await reconcile_day(deps, ReconcileDay("other", TODAY))
    with pytest.raises(DayInFuture):
        await reconcile_day(deps, ReconcileDay("card_sim", TODAY + timedelta(days=1)))


async def test_the_schedule_covers_both_days_and_channels_and_one_failure_does_not_stop_the_rest(
    deps: Deps, world: World, booked: Callable[[int], Awaitable[None]]
) -> None:
    await booked(1)
    world.settle([a_line(1)])
    await reconcile_recent(deps)
    kept = {
        (row["day"], row["channel"]): row["state"] for row in await rows(deps.engine, "reconciliation_run")
    }
    days, channels = (TODAY - timedelta(days=1), TODAY), ("card_sim", "card_sim_2", "wallet_sim", "bank_sim")
    assert kept == {(day, channel): "balanced" for day in days for channel in channels}

    world.is_down.add("channels")
    await reconcile_recent(deps)  # put off, not raised
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.reconciliation_run") == 8
