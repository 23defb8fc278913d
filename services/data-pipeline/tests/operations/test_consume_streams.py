"""The consumer on a real stream: duplicates, disorder, holes, a flushed Redis and a crash change nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from pipeline_rig import (
    NOON,
    World,
    a_payment,
    a_sale,
    an_event,
    ingest,
    processing,
    rollup_differences,
    rows,
    scalar,
    settings_for,
)
from redis.asyncio import Redis
from seeded_day import simulate
from sqlalchemy import text

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.operations import consume_streams, ingest_events
from data_pipeline.operations.consume_streams import stream_consumer
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.verify_invariants import verify_invariants
from data_pipeline.settings import CONSUMER
from data_pipeline.store import balances
from platform_cli.embedded.testing import TestDatabase
from platform_kit.db import create_engine
from platform_kit.outbox import Event
from platform_kit.redis import create_redis
from platform_kit.streams import StreamConsumer


@pytest.fixture
async def redis(clean_redis_url: str) -> AsyncIterator[Redis]:
    """With the group in place: without it a consumer begins by reading the events API, not the stream."""
    async with create_redis(clean_redis_url, timeout_s=60) as client:
        await client.xgroup_create(PAYMENTS, CONSUMER, id="0", mkstream=True)
        yield client


@pytest.fixture
def told(world: World) -> list[Event]:
    """An hour of payments, held by the gateway's events API."""
    world.events["gateway"] = simulate(NOON, count=60).payments
    return world.events["gateway"]


async def publish(redis: Redis, events: list[Event]) -> None:
    for event in events:
        await redis.xadd(PAYMENTS, {"position": event.position or 0, "event": orjson.dumps(event.envelope())})


def a_consumer(deps: Deps, redis: Redis) -> StreamConsumer:
    consumer = stream_consumer(deps, redis, PAYMENTS)
    consumer._reader._block_ms = 10  # the tests know when there is nothing more
    consumer._head_check_s = 0
    return consumer


async def consume(deps: Deps, redis: Redis, until: int) -> StreamConsumer:
    """Read until the cursor is there; a consumer that does not get there fails the test."""
    consumer = a_consumer(deps, redis)
    for _ in range(50):
        await consumer.run_once()
        if consumer.position >= until:
            return consumer
    raise AssertionError(f"stuck at {consumer.position} of {until}")


async def until(deps: Deps, sql: str, wanted: int) -> None:
    """Wait until a number of rows is there."""
    for _ in range(400):
        if await scalar(deps.engine, sql) >= wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{sql} did not reach {wanted}")


async def assert_whole(deps: Deps, told: list[Event]) -> None:
    """The warehouse holds exactly what was told: no event missing, none twice, figures equal to the detail."""
    positions = [row["position"] for row in await rows(deps.engine, "stored_event", "position", "position")]
    assert positions == [event.position for event in told]
    assert await scalar(deps.engine, "SELECT sum(stored) FROM pipeline.event_count") == len(told)
    moved = sum(
        transfer["amount_minor"]
        for event in told
        for transfer in (event.data["journal"] or {"transfers": []})["transfers"]
    )
    assert await scalar(deps.engine, "SELECT sum(amount_minor) FROM pipeline.fact_transfer") == moved
    assert await rollup_differences(deps.engine) == []
    assert [check for check in await verify_invariants(deps) if not check.is_kept] == []


async def test_a_stream_in_order_is_stored_once(deps: Deps, redis: Redis, told: list[Event]) -> None:
    await publish(redis, told)
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_duplicates_and_disorder_change_nothing(deps: Deps, redis: Redis, told: list[Event]) -> None:
    dice = random.Random(1)
    shuffled = told + dice.sample(told, 40)
    dice.shuffle(shuffled)
    await publish(redis, shuffled)
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_holes_in_the_stream_are_filled_from_the_events_api(
    deps: Deps, redis: Redis, told: list[Event]
) -> None:
    dice = random.Random(2)
    await publish(redis, [event for event in told if dice.random() > 0.3])
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_a_redis_that_lost_everything_loses_nothing(
    deps: Deps, redis: Redis, told: list[Event]
) -> None:
    half = len(told) // 2
    await publish(redis, told[:half])
    await consume(deps, redis, half)
    await redis.flushall()
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_life_does_it_once(
    deps: Deps, redis: Redis, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after its last statement and before the commit."""
    await publish(redis, told)
    whole = ingest_events.ingest_events

    async def dies_at_the_end(*told):  # type: ignore[no-untyped-def]
        await whole(*told)
        raise OSError("killed")

    monkeypatch.setattr(ingest_events, "ingest_events", dies_at_the_end)
    with pytest.raises(Exception, match="killed"):
        await a_consumer(deps, redis).run_once()
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.stored_event") == 0
    assert await rows(deps.engine, "rollup") == []

    monkeypatch.setattr(ingest_events, "ingest_events", whole)
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_a_crash_after_the_commit_and_before_the_acknowledgement_repeats_nothing(
    deps: Deps, redis: Redis, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(redis, told)

    async def dies(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(Redis, "xack", dies)
    with pytest.raises(RuntimeError):
        await a_consumer(deps, redis).run_once()
    monkeypatch.undo()

    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_two_consumers_at_once_do_everything_once(deps: Deps, redis: Redis, told: list[Event]) -> None:
    """The lease keeps a second reader quiet; should both act, the cursor's compare-and-set decides."""
    await publish(redis, told)
    first, second = a_consumer(deps, redis), a_consumer(deps, redis)
    for _ in range(8):
        for consumer in (first, second):
            try:
                await consumer.run_once()
            except Exception:
                consumer._forget()
    await assert_whole(deps, told)


async def test_an_event_that_breaks_its_contract_is_set_aside_and_the_stream_goes_on(
    deps: Deps, redis: Redis, world: World
) -> None:
    told = [a_sale(1), an_event(2, payment=a_payment(2, amount_minor="12.50")), a_sale(3), a_sale(4)]
    world.events["gateway"] = told
    await publish(redis, told)

    await consume(deps, redis, 4)

    assert [row["position"] for row in await rows(deps.engine, "stored_event", order="position")] == [1, 3, 4]
    [aside] = await rows(deps.engine, "quarantine")
    assert (aside["position"], aside["fault"], aside["event_id"]) == (2, "contract_violation", told[1].id)
    assert "/amount_minor" in aside["detail"]
    assert '"12.50"' in aside["payload"]
    assert await rollup_differences(deps.engine) == []


async def test_an_id_that_comes_again_at_another_position_has_no_second_effect(
    deps: Deps, redis: Redis, world: World
) -> None:
    again = replace(a_sale(2), id=a_sale(1).id)
    assert again.position == 2
    world.events["gateway"] = [a_sale(1), again, a_sale(3)]
    await publish(redis, world.events["gateway"])

    await consume(deps, redis, 3)

    assert [row["position"] for row in await rows(deps.engine, "stored_event", order="position")] == [1, 3]
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.fact_payment") == 2
    assert await rollup_differences(deps.engine) == []


async def test_an_entry_that_is_no_event_does_not_stop_the_stream(
    deps: Deps, redis: Redis, told: list[Event]
) -> None:
    await publish(redis, told[:3])
    await redis.xadd(PAYMENTS, {"position": 4, "event": b"\xff{not json"})
    await publish(redis, told[4:])
    await consume(deps, redis, len(told))
    await assert_whole(deps, told)


async def test_the_consumer_has_a_cursor_per_stream(deps: Deps, redis: Redis, told: list[Event]) -> None:
    await publish(redis, told)
    await consume(deps, redis, len(told))
    cursors = await rows(deps.engine, "consumer_cursor", "consumer, stream, position")
    assert cursors == [{"consumer": CONSUMER, "stream": PAYMENTS, "position": len(told)}]


async def test_the_process_reads_both_streams_and_notes_their_heads(
    deps: Deps, redis: Redis, world: World, told: list[Event]
) -> None:
    world.events["risk"] = simulate(NOON, count=5).assessments
    quick = replace(deps, settings=deps.settings.model_copy(update={"head_check_every_s": 0.05}))
    stop = asyncio.Event()
    running = asyncio.create_task(consume_streams.consume_streams(quick, redis, stop))
    try:
        await until(deps, "SELECT count(*) FROM pipeline.stored_event", len(told) + 5)
        await until(deps, "SELECT count(*) FROM pipeline.stream_head", 2)
    finally:
        stop.set()
        await running
    heads = {row["stream"]: row["head"] for row in await rows(deps.engine, "stream_head")}
    assert heads == {"events:payments": len(told), "events:risk": 5}


async def test_a_first_batch_that_fails_takes_no_roll_up_back(
    deps: Deps, redis: Redis, world: World, database: TestDatabase
) -> None:
    """An older release has left accounts and hours out, and the first event to come is a poisoned one."""
    stored = simulate(NOON, count=20).payments
    await ingest(deps.engine, stored)
    last = len(stored)
    poisoned = an_event(last + 1, payment=a_payment(500, amount_minor="12.50"))
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.rollup_account"))
        await conn.execute(text("DELETE FROM pipeline.rollup WHERE grain = 'hour'"))
        await conn.execute(text("UPDATE pipeline.event_count SET rolled_up = 0"))
    await admin.dispose()
    world.events["gateway"] = [poisoned, a_sale(last + 2, 500)]
    await publish(redis, world.events["gateway"])
    stop = asyncio.Event()
    running = asyncio.create_task(a_consumer(deps, redis).run(stop))
    try:
        await until(deps, "SELECT position FROM pipeline.consumer_cursor", last + 2)
    finally:
        stop.set()
        await running
    assert len(await rows(deps.engine, "quarantine")) == 1
    assert await rollup_differences(deps.engine) == []
    async with deps.engine.begin() as conn:
        assert not await balances.complete(conn)


async def test_a_payment_that_is_processing_counts_before_it_is_decided(
    deps: Deps, redis: Redis, world: World
) -> None:
    world.events["gateway"] = [an_event(1, "payment.created.v1", payment=processing(1))]
    await publish(redis, world.events["gateway"])
    await consume(deps, redis, 1)
    [day] = [row for row in await rows(deps.engine, "rollup") if row["grain"] == "day"]
    assert (day["payment_count"], day["approved_count"], day["declined_count"]) == (1, 0, 0)
