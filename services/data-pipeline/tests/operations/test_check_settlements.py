"""Settlements against facts, books and the batch before: what is planted is found, and looks get round to all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from merchant_story import MERCHANT, Story, a_day
from pipeline_rig import NOON, World, deps_for, ingest, rows, scalar, settings_for
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.invariants import Check, Invariant
from data_pipeline.domain.settlement_batch import ACCOUNTS, State
from data_pipeline.operations import check_settlements as operation
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.check_settlements import check_settlements, differences
from data_pipeline.operations.close_settlement import CloseSettlement, close_settlement
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.replay_archive import replay_archive, request_replay
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.show_settlement_checks import list_left_out, show_checks
from data_pipeline.operations.show_settlements import show_lines, show_settlement
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.operations.watch_heads import watch_heads
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine

YESTERDAY = NOON - timedelta(days=1)
DAY = timedelta(days=1)
TOMORROW = NOON + DAY + timedelta(minutes=1)


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    places = {"exports_url": f"file://{tmp_path}/exports", "archive_url": f"file://{tmp_path}/archive"}
    async with deps_for(settings_for(database.app_url, world.url, **places), engine) as deps:
        yield deps


async def told(deps: Deps, world: World, *events: Any) -> None:
    world.events["gateway"] += events
    await ingest(deps.engine, list(events), observed_at=events[-1].occurred_at)
    await watch_heads(deps)


async def at(deps: Deps, moment: Any) -> Deps:
    later = replace(deps, clock=FixedClock(moment))
    await watch_heads(later)
    return later


async def as_owner(database: TestDatabase, *statements: str) -> None:
    owner = create_engine(settings_for(database.owner_url))
    async with owner.begin() as conn:
        for statement in statements:
            await conn.execute(text(statement))
    await owner.dispose()


async def batches(deps: Deps, where: str = "line_count > 0") -> list[dict[str, Any]]:
    return await rows(deps.engine, f"settlement_batch WHERE {where}", order="merchant_id, currency, number")


async def look(deps: Deps) -> None:
    """With time for all that is due."""
    await check_settlements(deps, budget_s=600)


async def net(deps: Deps) -> Check:
    return next(
        check for check in await verify_invariants(deps) if check.invariant is Invariant.SETTLEMENTS_NET
    )


@pytest.fixture
async def two_days(deps: Deps, world: World) -> Deps:
    """Two closed batches of one merchant and an open one, compared with the facts and in order."""
    story = a_day(at=NOON - 2 * DAY)
    story.at = YESTERDAY
    story.capture(9003, 2_000, fee=30)
    story.settle(1_000)
    await told(deps, world, *story.events)
    await settle_merchants(deps)
    await look(deps)
    assert [batch["state"] for batch in await batches(deps)] == [State.RECONCILED] * 2
    assert {batch["checked_at"] for batch in await batches(deps)} == {NOON}
    assert [batch["differences"] for batch in await batches(deps)] == [None, None]
    return deps


KEEP = "ALTER TABLE pipeline.settlement_batch {} TRIGGER keep_closed_batch"
BATCH = "UPDATE pipeline.settlement_batch SET {} WHERE number = {} AND state <> 'open'"
PLANTED = {
    "opening_minor": BATCH.format("opening_minor = opening_minor + 7, closing_minor = closing_minor + 7", 2),
    "opening_available_minor": BATCH.format(
        "accounts = jsonb_set(accounts::jsonb, '{available,opening_minor}',"
        " to_jsonb((accounts->'available'->>'opening_minor')::bigint + 7))::json",
        2,
    ),
    "account_reserve_minor": BATCH.format(
        "accounts = jsonb_set(accounts::jsonb, '{reserve,closing_minor}', '7')::json", 1
    ),
    "opened_after_us": BATCH.format("opened_at = opened_at + interval '7 microseconds'", 2),
    "captures_minor": BATCH.format(
        "captures_minor = captures_minor + 7, closing_minor = closing_minor + 7", 1
    ),
    "line_count": BATCH.format("line_count = line_count + 7", 1),
    "books_pending_minor": "UPDATE pipeline.rollup_account SET debits_minor = debits_minor + 7"
    " WHERE period = 'all' AND account LIKE '%pending'",
    "lines_unlike_facts": "UPDATE pipeline.settlement_line SET object_id = object_id, debit = debit || 'x'"
    " WHERE kind = 'capture' AND (journal_id, line) IN (SELECT journal_id, line FROM pipeline.settlement_line"
    " WHERE kind = 'capture' ORDER BY 1, 2 LIMIT 1)",
    "payouts_instructed_minor": "UPDATE pipeline.fact_payout SET amount_minor = amount_minor - 7",
}


@pytest.mark.parametrize("difference", PLANTED)
async def test_what_is_planted_is_found_by_its_name_and_to_the_unit(
    two_days: Deps, database: TestDatabase, difference: str
) -> None:
    disable, enable = KEEP.format("DISABLE"), KEEP.format("ENABLE")
    await as_owner(database, disable, PLANTED[difference], enable)
    found: dict[str, int] = {}
    for batch in await batches(two_days, "state <> 'open'"):
        found |= await differences(two_days, batch["id"])
    assert found[difference] == (1 if difference == "lines_unlike_facts" else 7)

    tomorrow = await at(two_days, TOMORROW)
    await look(tomorrow)
    check = await net(tomorrow)
    assert check.is_kept is False
    named = [(await show_settlement(tomorrow, one))["differences"] for one in check.figures["batches"]]
    assert any(difference in one for one in named)


async def test_a_batch_whose_opening_was_changed_is_not_reconciled(
    two_days: Deps, database: TestDatabase
) -> None:
    await as_owner(
        database,
        KEEP.format("DISABLE"),
        PLANTED["opening_minor"],
        "UPDATE pipeline.settlement_batch SET state = 'paid' WHERE number = 2",
        KEEP.format("ENABLE"),
    )
    await settle_merchants(two_days)
    assert [batch["state"] for batch in await batches(two_days)] == [State.RECONCILED, State.PAID]


async def test_what_is_mended_is_told_with_the_next_look(two_days: Deps, database: TestDatabase) -> None:
    wrong = "UPDATE pipeline.fact_payout SET amount_minor = amount_minor {} 7"
    await as_owner(database, wrong.format("-"))
    tomorrow = await at(two_days, TOMORROW)
    await look(tomorrow)
    assert (await net(tomorrow)).is_kept is False
    await look(tomorrow)  # it stays broken, though no round is due
    assert (await net(tomorrow)).is_kept is False
    await as_owner(database, wrong.format("+"))
    await look(tomorrow)
    assert (await net(tomorrow)).is_kept is True


async def test_every_batch_has_its_turn_and_none_has_two_in_a_day(
    two_days: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With time for a single batch a look: the one whose look is oldest comes first."""
    tomorrow = await at(two_days, TOMORROW)
    monkeypatch.setattr(operation, "SLICE", 1)
    late = lambda: True  # noqa: E731 - the time is over after each
    for looked_at in (1, 2, 2):
        await operation._check_due(tomorrow, late)
        found = [batch["checked_at"] for batch in await batches(tomorrow)]
        assert found.count(TOMORROW) == looked_at
    assert (await show_checks(tomorrow))["checked_since"] == TOMORROW


async def test_a_closed_batch_that_nobody_looks_at_is_not_called_in_order(deps: Deps, world: World) -> None:
    story = Story(at=YESTERDAY)
    story.capture(1, 10_000)
    await told(deps, world, *story.events)
    await settle_merchants(deps)
    assert (await net(deps)).is_kept is True
    later = await at(deps, NOON + timedelta(minutes=61))
    check = await net(later)
    assert (check.is_kept, check.figures["why"]) == (
        None,
        "batches were closed an hour ago and not looked at since",
    )
    await look(later)
    assert (await net(later)).is_kept is True
    check = await net(await at(deps, NOON + timedelta(minutes=77)))
    assert (check.is_kept, check.figures["why"]) == (None, "settlements are not looked at")


@pytest.fixture
async def brought(deps: Deps, world: World, database: TestDatabase) -> Story:
    """A movement that was lost before its day was settled, and that a replay has brought back since."""
    story = Story(at=NOON - 2 * DAY)
    story.capture(1, 10_000, fee=100)
    story.capture(2, 4_000, fee=40)
    await told(deps, world, *story.events)
    lost = "DELETE FROM pipeline.fact_transfer WHERE position = 2"
    books = "DELETE FROM pipeline.rollup_account"
    in_time = "UPDATE pipeline.stored_event SET received_at = occurred_at"
    await as_owner(database, lost, books, in_time)
    early = await at(deps, YESTERDAY)
    await look(early)
    await settle_merchants(early)
    [first] = await batches(deps, "state <> 'open' AND line_count > 0")
    assert first["closing_minor"] == 9_900
    await archive_events(deps)
    await request_replay(deps, "ada", "transfers were lost", may_differ=True)
    await replay_archive(deps)
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.fact_transfer") == 4
    return story


async def test_what_a_replay_brings_is_found_shown_and_taken_by_the_next_batch(
    deps: Deps, world: World, brought: Story
) -> None:
    first, following = await batches(deps, "true")
    later = await at(deps, NOON + timedelta(minutes=1))
    assert "books_pending_minor" in await differences(later, first["id"])
    await look(later)
    assert REGISTRY.get_sample_value("pipeline_movements_left_out", {"taken_by": "next_batch"}) == 2
    found = await list_left_out(later, None, 10)
    assert [(one["line"], one["amount_minor"], one["taken_by"]) for one in found] == [
        (1, 40, None),
        (0, 4_000, None),
    ]
    assert {one["next_batch_id"] for one in found} == {following["id"]}
    check = await net(later)
    assert (check.figures["next_batch_count"], check.figures["left_out"]) == (2, [])
    lines = await show_lines(later, following["id"], None, 10)
    assert [(line["kind"], line["section"], line["is_late"]) for line in lines] == [
        ("capture", "corrections", True),
        ("fee", "corrections", True),
    ]

    await settle_merchants(later)
    unchanged, second = await batches(later)
    said = [name for name in first if name not in ("state", "checked_at", "differences", "reconciled_at")]
    assert [unchanged[name] for name in said] == [first[name] for name in said]
    assert (second["corrections_minor"], second["late_count"], second["closing_minor"]) == (3_960, 2, 13_860)
    await look(later)
    assert [batch["state"] for batch in await batches(later)] == [State.RECONCILED] * 2
    assert {one["taken_by"] for one in await list_left_out(later, None, 10)} == {second["id"]}
    assert REGISTRY.get_sample_value("pipeline_movements_left_out", {"taken_by": "next_batch"}) == 0
    assert (await net(later)).is_kept is True
    assert {account: sides["closing_minor"] for account, sides in second["accounts"].items()} == {
        account: brought.balances[brought.account(account), "EUR"] for account in ACCOUNTS
    }


async def test_a_movement_that_comes_late_by_itself_is_not_left_out(deps: Deps, world: World) -> None:
    story = Story(at=YESTERDAY)
    first, late = story.capture(1, 10_000), story.capture(2, 4_000)
    await told(deps, world, first)
    await settle_merchants(await at(deps, NOON))
    world.events["gateway"].append(late)
    await ingest(deps.engine, [late])  # received now: the open batch takes it
    await watch_heads(deps)
    await look(deps)
    assert await list_left_out(deps, None, 10) == []
    assert await differences(deps, (await batches(deps))[0]["id"]) == {}


async def test_what_is_told_under_another_name_no_batch_can_take(
    two_days: Deps, database: TestDatabase
) -> None:
    await as_owner(
        database,
        "UPDATE pipeline.fact_transfer SET merchant_id = 'mer_other' WHERE position = 1 AND line = 0",
    )
    await as_owner(database, "UPDATE pipeline.settlement_walk SET began_at = began_at - interval '1 day'")
    await as_owner(
        database,
        "DELETE FROM pipeline.settlement_line WHERE (journal_id, line) IN"
        " (SELECT journal_id, line FROM pipeline.fact_transfer WHERE merchant_id = 'mer_other')",
    )
    await look(two_days)
    check = await net(two_days)
    assert check.is_kept is False
    assert len(check.figures["left_out"]) == 1
    [one] = await list_left_out(two_days, None, 10)
    assert (one["taken_by"], one["next_batch_id"]) == (None, None)
    assert REGISTRY.get_sample_value("pipeline_movements_left_out", {"taken_by": "no_batch"}) == 1


async def test_looks_get_round_to_every_movement_in_steps(
    two_days: Deps, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new is looked at first; the round through all goes on where it ended, and begins again after a day."""
    monkeypatch.setattr(operation, "WINDOW", 5)
    head = await scalar(two_days.engine, "SELECT max(position) FROM pipeline.fact_transfer")
    tomorrow = await at(two_days, TOMORROW)
    seen = []
    for _ in range(head // 5 + 1):
        await operation._walk(tomorrow)
        seen.append((await show_checks(tomorrow))["walked_position"])
    assert seen == [5, 10, head]
    assert (await show_checks(tomorrow))["ended_at"] == TOMORROW
    assert await operation._walk(tomorrow) is False  # none is due
    assert (await show_checks(tomorrow))["walked_position"] == head


async def test_a_page_of_an_open_batch_is_the_same_lines_as_when_it_is_closed(
    deps: Deps, world: World
) -> None:
    """Keyset: page by page, late ones first, none twice, those between its accounts passed over."""
    before = Story(at=YESTERDAY)
    late = before.capture(1, 700, fee=7)
    before.at = YESTERDAY + timedelta(hours=2)
    other = before.capture(2, 100)
    await told(deps, world, other)
    await settle_merchants(await at(deps, NOON))
    story = Story(at=NOON - timedelta(hours=9), first=3)
    for number in range(3, 25):
        story.capture(number, 1_000 + number, fee=10, surcharge=number % 2)
        story.settle(500)
    await ingest(deps.engine, [late])
    world.events["gateway"] += [late]
    await told(deps, world, *story.events)
    [batch] = await batches(deps, "state = 'open'")
    paged: list[dict[str, Any]] = []
    key = None
    while page := await show_lines(deps, batch["id"], key, 7):
        paged += page
        key = (page[-1]["occurred_at"], page[-1]["journal_id"], page[-1]["line"])
    assert paged == await show_lines(deps, batch["id"], None, 1_000)
    assert (len(paged), sum(line["is_late"] for line in paged)) == (2 + 22 * 2 + 11, 2)
    await close_settlement(deps, CloseSettlement(batch["id"], "ada"))
    closed = await show_lines(deps, batch["id"], None, 1_000)
    assert [{name: line[name] for name in paged[0]} for line in closed] == paged
    [following] = await batches(deps, "state = 'open'")  # it looks back a minute, at what is settled
    assert await show_lines(deps, following["id"], None, 10) == []
    assert all(line["debit"].count(MERCHANT) + line["credit"].count(MERCHANT) for line in paged)
