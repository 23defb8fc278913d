"""Facts of disputes, payouts and reserves: the newest state whatever order events come in, and the first decision."""

from __future__ import annotations

import random
from typing import Any

import pytest
from merchant_story import MERCHANT, Story, a_day
from pipeline_rig import ingest, rows
from sqlalchemy.ext.asyncio import AsyncEngine

TABLES = ("fact_dispute", "fact_payout", "fact_reserve")


async def facts(engine: AsyncEngine) -> dict[str, list[dict[str, Any]]]:
    return {table: await rows(engine, table) for table in TABLES}


async def test_each_keeps_its_three_clocks(engine: AsyncEngine) -> None:
    story = Story()
    opened, began = story.dispute(1, "needs_response", 4_000, fee=1_500), story.payout(1, "pending", 900)
    await ingest(engine, [opened, began])
    [dispute] = await rows(engine, "fact_dispute")
    assert (dispute["status"], dispute["decided_at"], dispute["channel"]) == (
        "needs_response",
        None,
        "card_sim",
    )

    lost, paid = story.dispute(1, "lost", 4_000), story.payout(1, "paid", 900)
    back = story.payout(1, "returned", 900)
    await ingest(engine, [lost, paid, back])
    [dispute], [payout] = await rows(engine, "fact_dispute"), await rows(engine, "fact_payout")
    assert (dispute["status"], dispute["decided_at"], dispute["merchant_id"]) == (
        "lost",
        lost.occurred_at,
        MERCHANT,
    )
    assert dispute["payment_id"] == lost.data["payment"]["id"]
    assert (payout["status"], payout["decided_at"], payout["position"]) == (
        "returned",
        paid.occurred_at,
        back.position,
    )


async def test_a_reserve_is_released_once(engine: AsyncEngine) -> None:
    story = a_day()
    await ingest(engine, story.events)
    [reserve] = await rows(engine, "fact_reserve")
    assert reserve["amount_minor"] == 1_504
    assert reserve["decided_at"] == story.events[-1].occurred_at


@pytest.mark.parametrize("seed", range(5))
async def test_order_and_size_of_batches_do_not_matter(engine: AsyncEngine, seed: int) -> None:
    """Also the order that no stream has: what was set aside comes when everything after it is here."""
    story, dice = a_day(), random.Random(seed)
    events = story.events.copy()
    dice.shuffle(events)
    while events:
        size = dice.randint(1, len(events))
        await ingest(engine, events[:size])
        del events[:size]
    found = await facts(engine)
    [dispute], [payout] = found["fact_dispute"], found["fact_payout"]
    assert (dispute["status"], dispute["fee_returned_minor"]) == ("won", 1_500)
    assert (payout["status"], payout["decided_at"]) == ("paid", story.events[9].occurred_at)
    assert [row["decided_at"] for row in found["fact_reserve"]] == [story.events[-1].occurred_at]


async def test_the_same_again_changes_nothing(engine: AsyncEngine) -> None:
    await ingest(engine, a_day().events)
    before = await facts(engine)
    await ingest(engine, a_day().events)
    assert await facts(engine) == before
