"""Merchants by version: what was in force when is the same in whatever order it is told; names stay as they were."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from itertools import pairwise

import pytest
from pipeline_rig import NOON, a_merchant, ingest, rows
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.facts import MerchantVersion
from data_pipeline.domain.snapshot import Partition
from data_pipeline.store import merchants as merchant_store
from data_pipeline.store import snapshot as snapshot_store

ID = "mer_00000000000000000000000001"
TOLD = [
    a_merchant(1, "Café", at=NOON - timedelta(days=2)),
    a_merchant(2, "Café", at=NOON - timedelta(days=1), terms={"reserve": {"basis_points": 500, "days": 90}}),
    a_merchant(3, "Bistro", at=NOON - timedelta(days=1, seconds=5)),  # by another machine's clock
    a_merchant(
        4, "Bistro", at=NOON, disabled_at="2026-11-23T12:00:00.000000Z", terms={"fee_plan": {"rules": []}}
    ),
]


async def test_a_version_is_in_force_until_the_next_one(engine: AsyncEngine) -> None:
    await ingest(engine, [*TOLD, a_merchant(5, "Other", id="mer_00000000000000000000000002")])
    found = await rows(engine, f"merchant_version WHERE merchant_id = '{ID}'", order="position")
    assert [row["name"] for row in found] == ["Café", "Café", "Bistro", "Bistro"]
    assert [(row["reserve_days"], row["is_disabled"]) for row in found] == [
        (None, False), (90, False), (None, False), (None, True),
    ]  # fmt: skip
    assert found[3]["fee_plan"] == {"rules": []}
    assert all(one["valid_to"] == two["valid_from"] for one, two in pairwise(found))
    assert found[-1]["valid_to"] is None
    assert found[2]["valid_from"] == found[1]["valid_from"], (
        "a slower clock does not put a change before the last one"
    )
    async with engine.connect() as conn:
        assert await merchant_store.names(conn, [ID, None, "mer_unknown"]) == {ID: "Bistro"}


@pytest.mark.parametrize("seed", range(4))
async def test_order_and_size_of_batches_do_not_matter(engine: AsyncEngine, seed: int) -> None:
    dice, events = random.Random(seed), TOLD.copy()
    dice.shuffle(events)
    while events:
        size = dice.randint(1, len(events))
        await ingest(engine, events[:size])
        del events[:size]
    found = await rows(engine, "merchant_version", order="position")
    assert [row["valid_from"] for row in found] == [
        NOON - timedelta(days=2), NOON - timedelta(days=1), NOON - timedelta(days=1), NOON,
    ]  # fmt: skip
    assert [row["valid_to"] for row in found] == [*(row["valid_from"] for row in found[1:]), None]


async def test_two_writers_of_one_merchant_see_what_the_other_wrote(engine: AsyncEngine) -> None:
    """The consumer, and who replays the quarantine: in force when follows from both."""

    def version(position: int) -> MerchantVersion:
        terms = (2, None, None, None, None)
        return MerchantVersion(
            ID, position, "Café", "DE", "5812", "2026-11-27", False, *terms, NOON + timedelta(hours=position)
        )

    async def write(position: int) -> None:
        async with engine.begin() as conn:
            await merchant_store.insert_versions(conn, [version(position)])

    async with engine.connect() as slow:
        transaction = await slow.begin()
        await merchant_store.insert_versions(slow, [version(1)])
        writing = asyncio.create_task(write(2))
        await asyncio.sleep(0.3)
        await transaction.commit()
        await writing
    first, second = await rows(engine, "merchant_version", order="position")
    assert (first["valid_to"], second["valid_to"]) == (second["valid_from"], None)


async def test_a_new_version_marks_the_day_of_the_one_that_it_ends(engine: AsyncEngine) -> None:
    await ingest(engine, TOLD[:1])
    async with engine.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.dirty_partition"))
    await ingest(engine, TOLD[3:])
    async with engine.connect() as conn:
        marked = await snapshot_store.dirty(conn)
    days = {(NOON - timedelta(days=2)).date(), NOON.date()}
    assert set(marked) == {Partition("merchant_version", day) for day in days}
