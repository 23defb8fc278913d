"""Settlements from the ledger's events to the last state: every movement in one batch, and none of it twice."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from merchant_story import MERCHANT, Story, a_day
from pipeline_rig import NOON, World, deps_for, ingest, rows, scalar, settings_for
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.settlement_batch import ACCOUNTS, State
from data_pipeline.operations import settle_merchants as operation
from data_pipeline.operations.check_settlements import check_settlements
from data_pipeline.operations.close_settlement import (
    CloseSettlement,
    NothingToSettle,
    SettlementClosed,
    close_settlement,
)
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.show_settlements import show_lines, show_settlement
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.operations.watch_heads import watch_heads
from data_pipeline.store import settlement_lines
from data_pipeline.store.tables.settlements import settlement_line
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine

YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    settings = settings_for(database.app_url, world.url, exports_url=f"file://{tmp_path}/exports")
    async with deps_for(settings, engine) as deps:
        yield deps


async def told(deps: Deps, world: World, *stories: Story) -> None:
    """The gateway says it, the consumer reads it, and the gateway says that there is no more."""
    for story in stories:
        world.events["gateway"] += story.events
        await ingest(deps.engine, story.events)
    await watch_heads(deps)


async def at(deps: Deps, world: World, moment: datetime) -> Deps:
    """The same, later; the head was asked for just then."""
    later = replace(deps, clock=FixedClock(moment))
    await watch_heads(later)
    return later


async def batches(deps: Deps, where: str = "line_count > 0") -> list[dict[str, Any]]:
    return await rows(deps.engine, f"settlement_batch WHERE {where}", order="merchant_id, currency, number")


async def open_one(deps: Deps) -> dict[str, Any]:
    [batch] = await batches(deps, "state = 'open'")
    return batch


def accounts(story: Story, currency: str = "EUR") -> dict[str, int]:
    return {account: story.balances[story.account(account), currency] for account in ACCOUNTS}


def closing(batch: dict[str, Any]) -> dict[str, int]:
    return {account: sides["closing_minor"] for account, sides in batch["accounts"].items()}


async def test_a_day_nets_to_its_payout_and_to_the_ledgers_accounts(deps: Deps, world: World) -> None:
    story = a_day()
    await told(deps, world, story)
    await settle_merchants(deps)
    [batch] = await batches(deps)
    assert batch["state"] == State.RECONCILED
    assert {name: batch[f"{name}_minor"] for name in (
        "captures", "refunds", "disputes", "fees", "reserve", "conversions", "corrections", "payouts",
    )} == {
        "captures": 15_300,
        "refunds": -1_000,
        "disputes": 0,  # set aside and won back
        "fees": -165 - 99 + 17 - 1_500 + 1_500,
        "reserve": 0,
        "conversions": 0,
        "corrections": 1_250,
        "payouts": -5_999,
    }  # fmt: skip
    assert closing(batch) == accounts(story)
    assert batch["closing_minor"] == sum(
        accounts(story)[name] for name in ("pending", "surcharge", "available")
    )
    [payout] = await rows(deps.engine, "fact_payout")
    assert -batch["payouts_minor"] == payout["amount_minor"]


async def test_every_leg_of_the_merchant_is_in_one_batch(deps: Deps, world: World) -> None:
    """Days of chance, told in batches of chance, with looks in between: what the facts have, the batches have once."""
    dice, day = random.Random(4), NOON - timedelta(days=4)
    story = Story(at=day.replace(hour=0))
    for number in range(1, 120):
        story.at += timedelta(minutes=dice.randint(1, 60))
        match dice.randint(1, 6):
            case 1 | 2:
                story.capture(
                    number, dice.randint(100, 10_000), fee=dice.randint(0, 50), surcharge=dice.randint(0, 90)
                )
            case 3:
                story.settle(dice.randint(1, 5_000))
            case 4:
                story.refund(number, dice.randint(1, 900), fee_returned=dice.randint(0, 9))
            case 5:
                story.dispute(number, "needs_response", 500, fee=15)
                story.dispute(number, dice.choice(["won", "lost"]), 500)
            case _:
                story.payout(number, "pending", 700)
                story.payout(number, dice.choice(["paid", "failed", "returned"]), 700)
    left, moment = story.events.copy(), day
    while left:
        moment += timedelta(hours=dice.randint(1, 20))
        ready = [event for event in left if event.occurred_at < moment]
        dice.shuffle(ready)
        held = ready[: len(ready) // 5]  # what comes later than it should
        await told_events(deps, world, [event for event in ready if event not in held])
        left = sorted(
            (event for event in left if event in held or event not in ready), key=lambda e: e.position or 0
        )
        await settle_merchants(await at(deps, world, moment))
    final = await at(deps, world, moment + timedelta(days=3))
    await settle_merchants(final)

    facts = "SELECT count(*) FROM pipeline.fact_transfer WHERE merchant_id IS NOT NULL AND kind IN ('posted', 'post')"
    assert await scalar(deps.engine, facts) == await scalar(
        deps.engine, "SELECT count(*) FROM pipeline.settlement_line"
    )
    found = await batches(deps)
    assert len(found) >= 4
    assert sum(batch["late_count"] for batch in found) > 0
    assert {batch["state"] for batch in found} == {State.RECONCILED}
    assert closing(found[-1]) == accounts(story)
    for before, after in pairwise(found):
        assert before["closing_minor"] == after["opening_minor"]
        assert before["closes_at"] == after["opened_at"]


async def told_events(deps: Deps, world: World, events: list[Any]) -> None:
    world.events["gateway"] += events
    if events:
        await ingest(deps.engine, events)


async def test_what_comes_late_is_a_correction_of_the_next_batch_and_the_closed_one_stays(
    deps: Deps, world: World
) -> None:
    story = Story(at=YESTERDAY)
    story.capture(1, 10_000, fee=100)
    late = story.capture(2, 4_000, fee=40)
    story.at = YESTERDAY + timedelta(hours=1)
    story.capture(3, 2_000)
    await told_events(deps, world, [event for event in story.events if event is not late])
    await settle_merchants(await at(deps, world, NOON))
    [first] = await batches(deps)
    await told_events(deps, world, [late])
    await settle_merchants(await at(deps, world, NOON))
    assert await batches(deps, "state <> 'open' AND line_count > 0") == [first]

    tomorrow = await at(deps, world, NOON + timedelta(days=1))
    await settle_merchants(tomorrow)
    again, second = await batches(deps)
    assert again == first
    assert (second["captures_minor"], second["fees_minor"], second["corrections_minor"]) == (0, 0, 3_960)
    assert second["late_count"] == 2
    assert closing(second) == accounts(story)
    assert {one["kind"] for one in await show_lines(deps, second["id"], None, 10)} == {"capture", "fee"}


async def test_the_database_keeps_a_closed_batch_as_it_is(deps: Deps, world: World) -> None:
    await told(deps, world, a_day())
    await settle_merchants(deps)
    for change in (
        "captures_minor = 0, closing_minor = 0",
        "state = 'open'",
        "closed_by = 'eve'",
        "accounts = '{}'",
        "state = 'generated'",
        "came_back_minor = 1",
        "manifest = '{}'",
        "paid_at = now()",
    ):
        with pytest.raises(DBAPIError):
            async with deps.engine.begin() as conn:
                await conn.execute(
                    text(f"UPDATE pipeline.settlement_batch SET {change} WHERE state <> 'open'")
                )
    for verb in ("DELETE FROM pipeline.settlement_batch", "DELETE FROM pipeline.settlement_line",
                 "UPDATE pipeline.settlement_line SET effect_minor = 0"):  # fmt: skip
        with pytest.raises(DBAPIError):
            async with deps.engine.begin() as conn:
                await conn.execute(text(verb))
    names = ", ".join(one.name for one in settlement_line.c if one.name != "journal_id")
    for batch_id, is_taken in (("batch_id", False), (f"'{(await open_one(deps))['id']}'", True)):
        one_more = (
            f"INSERT INTO pipeline.settlement_line (journal_id, {names}) SELECT 'je_one_more',"
            f" {names.replace('batch_id', batch_id)} FROM pipeline.settlement_line LIMIT 1"
        )
        with nullcontext() if is_taken else pytest.raises(DBAPIError, match="takes no lines"):
            async with deps.engine.begin() as conn:
                await conn.execute(text(one_more))


async def test_a_day_is_not_closed_before_all_of_it_was_seen(deps: Deps, world: World) -> None:
    story = Story(at=YESTERDAY)
    story.capture(1, 10_000)
    await told(deps, world, story)
    world.heads["gateway"] = 9  # there is more
    await settle_merchants(await at(deps, world, NOON))
    assert [batch["state"] for batch in await batches(deps)] == [State.OPEN]
    world.heads["gateway"] = 1
    midnight = NOON.replace(hour=0)
    await settle_merchants(await at(deps, world, midnight + timedelta(minutes=14)))
    assert [batch["state"] for batch in await batches(deps)] == [State.OPEN]
    await settle_merchants(await at(deps, world, midnight + timedelta(minutes=15)))
    assert [batch["state"] for batch in await batches(deps)] == [State.RECONCILED]


async def test_currencies_and_merchants_are_settled_apart(deps: Deps, world: World) -> None:
    euro = a_day()
    euro.convert(500, 54_000, "KWD")
    yen = a_day(first=len(euro.events) + 1, currency="JPY")
    other = a_day(first=yen.first + len(yen.events))
    other = replace(
        other, merchant="mer_00000000000000000000000002", events=[], balances=type(euro.balances)()
    )
    other.capture(77, 900)
    await told(deps, world, euro, yen, other)
    await settle_merchants(deps)
    found = {(batch["merchant_id"], batch["currency"]): batch for batch in await batches(deps)}
    assert set(found) == {(MERCHANT, "EUR"), (MERCHANT, "JPY"), (MERCHANT, "KWD"), (other.merchant, "EUR")}
    assert found[MERCHANT, "EUR"]["conversions_minor"] == -500
    assert found[MERCHANT, "KWD"]["conversions_minor"] == 54_000
    assert closing(found[MERCHANT, "EUR"]) == accounts(euro)
    assert closing(found[MERCHANT, "JPY"]) == accounts(yen, "JPY")


async def test_a_batch_waits_for_the_bank(deps: Deps, world: World) -> None:
    story = Story(at=YESTERDAY)
    story.explain(5_000)
    story.payout(1, "pending", 5_000)
    await told(deps, world, story)
    await settle_merchants(deps)
    assert [batch["state"] for batch in await batches(deps)] == [State.GENERATED]
    story.events.clear()
    story.first, story.at = 3, NOON
    story.payout(1, "failed", 5_000)
    await told(deps, world, story)
    await settle_merchants(deps)
    first, second = await batches(deps)
    assert first["state"] == State.RECONCILED
    assert (second["state"], second["payouts_minor"]) == (State.OPEN, 5_000)


async def test_what_came_back_of_a_payout_could_be_paid_out(deps: Deps, world: World) -> None:
    story = Story(at=YESTERDAY)
    story.explain(5_000)
    story.payout(1, "pending", 5_000)
    story.payout(1, "failed", 5_000)
    story.payout(2, "pending", 4_000)
    story.payout(2, "paid", 4_000)
    await told(deps, world, story)
    await settle_merchants(deps)
    [batch] = await batches(deps)
    shown = await show_settlement(deps, batch["id"])
    assert (shown["sections"]["payouts"], shown["came_back_minor"]) == (-4_000, 5_000)
    paid_out = sum(payout["amount_minor"] for payout in shown["payouts"])
    assert shown["net_minor"] == 5_000 + 5_000 == paid_out + shown["closing_minor"]


async def test_a_payout_that_no_fact_tells_of_keeps_its_batch_closed(
    deps: Deps, world: World, database: TestDatabase
) -> None:
    """As after an upgrade from a version without that table, until the replay."""
    story = Story(at=YESTERDAY)
    story.explain(5_000)
    story.payout(1, "pending", 5_000)
    story.payout(1, "paid", 5_000)
    await told(deps, world, story)
    await as_owner(database, "UPDATE pipeline.fact_payout SET payout_id = 'hidden ' || payout_id")
    await settle_merchants(deps)
    [batch] = await batches(deps)
    assert (batch["state"], batch["manifest"]) == (State.CLOSED, None)
    [payout] = (await show_settlement(deps, batch["id"]))["payouts"]
    assert (payout["amount_minor"], payout["status"]) == (5_000, None)
    await as_owner(database, "UPDATE pipeline.fact_payout SET payout_id = replace(payout_id, 'hidden ', '')")
    await settle_merchants(deps)
    [batch] = await batches(deps)
    assert (batch["state"], batch["manifest"]["line_count"]) == (State.RECONCILED, 2)


@pytest.mark.parametrize("state", list(State))
async def test_a_merchant_that_cannot_be_settled_keeps_no_other_one_waiting(
    deps: Deps, world: World, database: TestDatabase, state: State
) -> None:
    first = Story(at=YESTERDAY, merchant="mer_00000000000000000000000000")
    first.capture(1, 700)
    second = Story(at=YESTERDAY, first=2)
    second.capture(2, 900)
    await told(deps, world, first, second)
    await as_owner(
        database,
        "ALTER TABLE pipeline.settlement_batch ADD CONSTRAINT planted"
        f" CHECK (merchant_id <> '{first.merchant}' OR state <> '{state}')",
    )
    await settle_merchants(deps)
    assert REGISTRY.get_sample_value("pipeline_settlements_failed") == 1
    states = {batch["merchant_id"]: batch["state"] for batch in await batches(deps)}
    assert states.pop(MERCHANT) == State.RECONCILED
    assert state not in states.values()
    await as_owner(database, "ALTER TABLE pipeline.settlement_batch DROP CONSTRAINT planted")
    await settle_merchants(deps)
    assert REGISTRY.get_sample_value("pipeline_settlements_failed") == 0
    assert [batch["state"] for batch in await batches(deps)] == [State.RECONCILED] * 2


async def test_batches_that_wait_do_not_stand_in_the_way(
    deps: Deps, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "SLICE", 1)
    waiting = Story(at=YESTERDAY - timedelta(days=1))
    waiting.explain(5_000)
    waiting.payout(1, "pending", 5_000)
    paid = Story(at=YESTERDAY, first=3, merchant="mer_00000000000000000000000002")
    paid.capture(2, 900)
    await told(deps, world, waiting, paid)
    await settle_merchants(deps)
    assert [batch["state"] for batch in await batches(deps)] == [State.GENERATED, State.RECONCILED]


async def test_days_without_movement_have_no_batch(deps: Deps, world: World) -> None:
    story = Story(at=NOON - timedelta(days=9))
    story.capture(1, 100)
    story.at = YESTERDAY
    story.capture(2, 100)
    await told(deps, world, story)
    await settle_merchants(deps)
    assert [batch["number"] for batch in await batches(deps)] == [1, 2]
    assert len(await batches(deps, "state = 'open'")) == 1


async def test_somebody_closes_a_batch_early(deps: Deps, world: World) -> None:
    story = Story(at=NOON - timedelta(hours=1))
    story.capture(1, 10_000, fee=100)
    await told(deps, world, story)
    await settle_merchants(deps)
    [batch] = await batches(deps)
    await close_settlement(deps, CloseSettlement(batch["id"], "ada"))
    with pytest.raises(SettlementClosed):
        await close_settlement(deps, CloseSettlement(batch["id"], "bob"))
    [following] = await batches(deps, "state = 'open'")
    with pytest.raises(NothingToSettle):
        await close_settlement(deps, CloseSettlement(following["id"], "ada"))
    story.at -= timedelta(seconds=90)  # happened just before, came just after
    story.capture(2, 500)
    await told_events(deps, world, story.events[1:])
    await settle_merchants(deps)
    closed, following = await batches(deps)
    assert (closed["closed_by"], closed["state"], closed["closing_minor"]) == ("ada", State.RECONCILED, 9_900)
    assert (following["opening_minor"], following["corrections_minor"], following["late_count"]) == (
        9_900,
        500,
        1,
    )


async def test_a_line_that_the_facts_do_not_have_keeps_a_batch_from_being_reconciled(
    deps: Deps, world: World, database: TestDatabase
) -> None:
    await told(deps, world, a_day())
    await settle_merchants(deps)
    await check_settlements(deps, budget_s=600)
    assert {check.is_kept for check in await verify_invariants(deps)} == {True}
    await as_owner(
        database, "UPDATE pipeline.settlement_line SET amount_minor = 1, effect_minor = 1 WHERE kind = 'fee'"
    )
    await as_owner(database, "ALTER TABLE pipeline.settlement_batch DISABLE TRIGGER keep_closed_batch")
    await as_owner(database, "UPDATE pipeline.settlement_batch SET state = 'paid' WHERE state = 'reconciled'")
    await settle_merchants(deps)
    assert [batch["state"] for batch in await batches(deps)] == [State.PAID]
    await check_settlements(
        replace(deps, clock=FixedClock(NOON + timedelta(days=1, minutes=1))), budget_s=600
    )
    broken = [check for check in await verify_invariants(deps) if not check.is_kept]
    assert [check.invariant for check in broken] == ["settlements_net"]
    assert broken[0].figures["batches"]


def test_the_stream_has_one_name() -> None:
    assert settlement_lines.PAYMENTS == PAYMENTS


async def as_owner(database: TestDatabase, sql: str) -> None:
    owner = create_engine(settings_for(database.owner_url))
    async with owner.begin() as conn:
        await conn.execute(text(sql))
    await owner.dispose()
