"""Whatever the transport loses or repeats, each event takes effect once, in order, without a hole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from event_rig import CURSOR, QUARANTINED, OwnRedis, Rig, an_event, eventually
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_cli.embedded.serving import serving
from platform_kit import inbox, outbox, telemetry
from platform_kit.apply_once import POISON_MAX, NotApplied, is_transient
from platform_kit.http import HttpClient, NoAnswer
from platform_kit.outbox import Event, EventPage, events_router
from platform_kit.redis import create_redis
from platform_kit.streams import FetchFailed, PoisonCapReached, StreamConsumer, events_api


async def published(rig: Rig, count: int) -> None:
    await rig.write(count)
    await rig.relay_all()


async def no_api(after: int, limit: int) -> EventPage:
    raise FetchFailed("the events API is not to be used here")


async def test_events_are_applied_in_order_once_and_acknowledged(rig: Rig) -> None:
    consumer = rig.consumer(batch_max=10)
    await consumer.run_once()  # makes the group
    await published(rig, 35)

    await rig.consume_all(consumer, 35)

    assert await rig.applied() == list(range(1, 36))
    assert await rig.cursor() == 35
    assert (await rig.redis.xpending(rig.stream, "reader"))["pending"] == 0
    assert consumer.lag == 0


async def test_a_repeated_publication_has_no_second_effect(rig: Rig) -> None:
    consumer = rig.consumer()
    await published(rig, 5)
    await rig.consume_all(consumer, 5)
    for _, fields in await rig.redis.xrange(rig.stream):
        await rig.redis.xadd(rig.stream, fields)

    await consumer.run_once()

    assert await rig.applied() == [1, 2, 3, 4, 5]


async def test_dropped_entries_are_fetched_from_the_api(rig: Rig) -> None:
    consumer = rig.consumer(head_check_s=1000)
    await consumer.run_once()
    await published(rig, 20)
    for entry_id, fields in await rig.redis.xrange(rig.stream):
        if int(fields[b"position"]) in {1, 7, 8, 9, 15}:
            await rig.redis.xdel(rig.stream, entry_id)

    await rig.consume_all(consumer, 20)

    assert await rig.applied() == list(range(1, 21))
    assert (6, 3) in rig.fetched  # only what was missing
    repaired = telemetry.stream_gap_repaired_total.labels(rig.stream, "reader")._value.get()
    assert repaired >= 5


async def test_a_lost_tail_is_found_by_comparing_with_the_head(rig: Rig) -> None:
    consumer = rig.consumer(head_check_s=0)
    await published(rig, 3)
    await rig.consume_all(consumer, 3)
    await rig.write(4)
    await rig.relay().assign()  # numbered, and never published

    await rig.consume_all(consumer, 7)

    assert await rig.applied() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_flush_in_mid_run_only_delays(rig: Rig, own_redis: OwnRedis) -> None:
    async with own_redis.client() as redis:
        await _through(rig, redis, redis.flushall)


async def test_a_killed_redis_only_delays(rig: Rig, own_redis: OwnRedis) -> None:
    async def kill_and_start() -> None:
        own_redis.kill()
        await asyncio.sleep(0.3)
        own_redis.start()

    async with own_redis.client() as redis:
        await _through(rig, redis, kill_and_start)


async def _through(rig: Rig, redis: Any, disturb: Any) -> None:
    """Write 300 events while a relay and a consumer run and Redis is disturbed three times."""
    rig.redis = redis
    stop = asyncio.Event()
    running = [
        asyncio.create_task(rig.relay(batch_max=20).run(stop)),
        asyncio.create_task(rig.consumer(batch_max=20).run(stop)),
    ]
    for number in range(60):
        await rig.write(5)
        await asyncio.sleep(0.01)
        if number in {10, 25, 45}:
            await disturb()

    async def is_complete() -> bool:
        return len(await rig.applied()) >= 300

    await eventually(is_complete, timeout_s=40, what="the effect of every event")
    stop.set()
    await asyncio.gather(*running)
    assert await rig.applied() == list(range(1, 301))


async def test_a_frozen_redis_is_handled_like_a_dead_one(rig: Rig, own_redis: OwnRedis) -> None:
    async with create_redis(own_redis.url, timeout_s=0.3) as redis:
        rig.redis = redis
        await published(rig, 3)
        consumer = rig.consumer()
        await rig.consume_all(consumer, 3)
        own_redis.freeze()
        await rig.write(4)
        await rig.relay().run_once()

        await rig.consume_all(consumer, 7)

        own_redis.thaw()
        await rig.relay_all()
        await rig.write(1)
        await rig.relay_all()
        await rig.consume_all(consumer, 8)
    assert await rig.applied() == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_events_flow_through_the_api_while_redis_stays_away(rig: Rig, own_redis: OwnRedis) -> None:
    async with own_redis.client() as redis:
        rig.redis = redis
        own_redis.kill()
        await rig.write(5)
        await rig.relay().assign()

        await rig.consume_all(rig.consumer(), 5)

    assert await rig.applied() == [1, 2, 3, 4, 5]


async def test_a_crash_after_the_commit_and_before_the_acknowledgement_repeats_nothing(rig: Rig) -> None:
    consumer = rig.consumer(fetch=no_api)
    await _with_group(rig)
    await published(rig, 4)
    acknowledge = rig.redis.xack

    async def crash(*args: Any) -> int:
        raise KeyboardInterrupt

    rig.redis.xack = crash
    with pytest.raises(KeyboardInterrupt):
        await consumer.run_once()
    rig.redis.xack = acknowledge
    assert (await rig.redis.xpending(rig.stream, "reader"))["pending"] == 4

    restarted = rig.consumer(fetch=no_api)
    await rig.write(1)
    await rig.relay_all()
    await rig.consume_all(restarted, 5)

    assert await rig.applied() == [1, 2, 3, 4, 5]
    assert (await rig.redis.xpending(rig.stream, "reader"))["pending"] == 0


async def test_a_crash_before_the_commit_leaves_the_events_to_the_next_start(rig: Rig) -> None:
    async def crash(conn: AsyncConnection, events: Sequence[Event]) -> None:
        await rig.apply(conn, events)
        raise KeyboardInterrupt

    await _with_group(rig)
    await published(rig, 4)
    with pytest.raises(KeyboardInterrupt):
        await rig.consumer(apply=crash, fetch=no_api).run_once()
    assert await rig.applied() == []

    # Without the API: what was delivered and not acknowledged must come from the pending list.
    await rig.consume_all(rig.consumer(fetch=no_api), 4)

    assert await rig.applied() == [1, 2, 3, 4]


async def test_entries_that_an_earlier_reader_left_pending_are_taken_over(rig: Rig) -> None:
    await _with_group(rig)
    await published(rig, 6)
    await rig.redis.xreadgroup("reader", "pod-of-yesterday", {rig.stream: ">"}, count=4)

    await rig.consume_all(rig.consumer(fetch=no_api), 6)

    assert await rig.applied() == [1, 2, 3, 4, 5, 6]
    assert (await rig.redis.xpending(rig.stream, "reader"))["pending"] == 0


async def _with_group(rig: Rig) -> None:
    await rig.redis.xgroup_create(rig.stream, "reader", id="0", mkstream=True)


async def test_of_two_consumers_one_reads_and_the_other_takes_over(rig: Rig) -> None:
    stops = [asyncio.Event(), asyncio.Event()]
    by: list[int] = []

    def applying(number: int) -> Any:
        async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
            by.append(number)
            await rig.apply(conn, events)

        return apply

    consumers = [rig.consumer(apply=applying(number)) for number in (0, 1)]
    reads = [_counted_reads(consumer) for consumer in consumers]
    running = [asyncio.create_task(consumers[number].run(stops[number])) for number in (0, 1)]

    async def has(count: int) -> bool:
        return len(await rig.applied()) >= count

    for _ in range(40):
        await published(rig, 3)
        await asyncio.sleep(0.01)
    await eventually(lambda: has(120))
    first = by[0]
    assert reads[first]
    assert not reads[1 - first], "the standby has read"

    stops[first].set()
    await running[first]
    await published(rig, 3)
    await eventually(lambda: has(123), what="takeover")
    stops[1 - first].set()
    await running[1 - first]

    assert set(by) == {0, 1}
    assert await rig.applied() == list(range(1, 124))


def _counted_reads(consumer: StreamConsumer) -> list[int]:
    """Grows with every read of the stream."""
    reads: list[int] = []
    read = consumer._reader.read

    async def counting() -> Any:
        reads.append(1)
        return await read()

    consumer._reader.read = counting  # type: ignore[method-assign]
    return reads


async def test_two_readers_without_the_lease_still_apply_each_event_once(rig: Rig) -> None:
    """The lease saves work; the cursor is what makes it right (a holder may not know that its lock is
    gone).
    """
    await published(rig, 200)

    async def consume(name_of_apply: int) -> None:
        dice = random.Random(name_of_apply)
        consumer = rig.consumer(batch_max=7)
        for _ in range(200):
            if consumer.position >= 200:
                return
            try:
                await consumer.run_once()
            except NotApplied:
                consumer._forget()
            await asyncio.sleep(dice.uniform(0, 0.002))

    await asyncio.gather(consume(1), consume(2), consume(3))

    assert await rig.applied() == list(range(1, 201))


async def test_a_full_page_comes_through_the_real_api(rig: Rig) -> None:
    """1,000 events of 2 kB, over HTTP: a page is larger than any other answer that the client takes."""
    await rig.write(1200, data={"filler": "x" * 2000})
    for _ in range(3):
        await rig.relay().assign()
    app = FastAPI()
    app.include_router(events_router(lambda: rig.engine, rig_tables(), lambda: None))
    async with serving(app, lifespan="off") as url, HttpClient("producer", url, timeout_s=10) as client:
        await rig.consume_all(rig.consumer(fetch=events_api(client, "token"), head_check_s=0), 1200)

    assert await rig.applied() == list(range(1, 1201))


async def test_an_api_that_refuses_is_a_reason_to_wait(rig: Rig) -> None:
    async with serving(FastAPI(), lifespan="off") as url, HttpClient("producer", url, timeout_s=5) as client:
        with pytest.raises(FetchFailed, match="producer answered 404"):
            await events_api(client, "token")(0, 10)


async def test_a_read_may_not_wait_longer_than_the_socket(rig: Rig) -> None:
    with pytest.raises(ValueError, match="socket timeout"):
        rig.consumer(block_ms=60_000)


async def test_the_cursor_moves_only_for_who_has_seen_it(rig: Rig) -> None:
    async with rig.engine.begin() as conn:
        assert await inbox.read_cursor(conn, CURSOR, "reader", "s") == 0
    async with rig.engine.begin() as conn:
        assert await inbox.move_cursor(conn, CURSOR, "reader", "s", seen=0, to=5)
    async with rig.engine.begin() as conn:
        assert not await inbox.move_cursor(conn, CURSOR, "reader", "s", seen=0, to=7)
        assert await inbox.read_cursor(conn, CURSOR, "reader", "s") == 5


def poisonous(rig: Rig, positions: set[int]) -> Any:
    async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
        await rig.apply(conn, events)
        for event in events:
            if event.position in positions:
                raise KeyError("no such field")

    return apply


async def keep(conn: AsyncConnection, event: Event, error: Exception) -> None:
    await conn.execute(QUARANTINED.insert(), {"position": event.position, "reason": repr(error)})


async def test_a_poison_event_is_set_aside_and_the_others_flow(rig: Rig) -> None:
    consumer = rig.consumer(apply=poisonous(rig, {3}), quarantine=keep)
    await published(rig, 6)

    await rig.consume_all(consumer, 6)

    assert await rig.applied() == [1, 2, 4, 5, 6]
    async with rig.engine.connect() as conn:
        rows = (await conn.execute(QUARANTINED.select())).all()
    assert [(row.position, row.reason) for row in rows] == [(3, "KeyError('no such field')")]


async def test_a_value_that_the_database_does_not_take_is_poison(rig: Rig) -> None:
    """The driver refuses it before anything is sent: that must not look like a lost connection."""

    async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
        for event in events:
            wrong = "2026" if event.position != 2 else "not a date"
            await conn.execute(text("SELECT make_date(CAST(CAST(:y AS text) AS int), 1, 1)"), {"y": wrong})
            await conn.execute(text("SELECT CAST(:n AS bigint)"), {"n": 1 if event.position != 3 else 2**70})
        await rig.apply(conn, events)

    await published(rig, 4)
    await rig.consume_all(rig.consumer(apply=apply, quarantine=keep), 4)

    assert await rig.applied() == [1, 4]


async def test_a_page_that_is_no_page_is_a_reason_to_wait(rig: Rig) -> None:
    app = FastAPI()

    @app.get("/internal/events")
    async def events() -> dict[str, object]:
        return {"data": [{"id": "evt_1"}], "head": 1}

    async with serving(app, lifespan="off") as url, HttpClient("producer", url, timeout_s=5) as client:
        with pytest.raises(FetchFailed, match="no page of events"):
            await events_api(client, "token")(0, 10)


async def test_a_long_repair_ends_at_the_next_page_when_the_process_is_to_stop(rig: Rig) -> None:
    stop = asyncio.Event()
    pages = 0

    async def endless(after: int, limit: int) -> EventPage:
        nonlocal pages
        pages += 1
        if pages == 3:
            stop.set()
        return EventPage([an_event(position=after + 1)], 10**9)

    async with asyncio.timeout(30):
        await rig.consumer(fetch=endless).run(stop)

    assert pages == 3
    assert await rig.applied() == [1, 2, 3]


async def test_without_a_quarantine_a_poison_event_stops_the_consumer_before_it(rig: Rig) -> None:
    stop = asyncio.Event()
    consumer = rig.consumer(apply=poisonous(rig, {3}))
    await published(rig, 6)
    running = asyncio.create_task(consumer.run(stop))

    async def is_before_it() -> bool:
        return await rig.applied() == [1, 2]

    await eventually(is_before_it)
    await asyncio.sleep(0.5)  # and goes no further
    stop.set()
    await running

    assert await rig.applied() == [1, 2]
    assert await rig.cursor() == 2


async def test_a_bad_deploy_parks_ten_events_and_not_a_day_of_traffic(rig: Rig) -> None:
    consumer = rig.consumer(apply=poisonous(rig, set(range(1, 100))), quarantine=keep)
    await published(rig, 30)

    with pytest.raises(PoisonCapReached):
        await rig.consume_all(consumer, 30)

    assert await rig.cursor() == POISON_MAX
    assert telemetry.stream_stopped.labels(rig.stream, "reader")._value.get() == 1


async def test_a_transient_database_error_is_tried_again_and_sets_nothing_aside(rig: Rig) -> None:
    failures = 3

    async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
        nonlocal failures
        await rig.apply(conn, events)
        if failures:
            failures -= 1
            await conn.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))

    stop = asyncio.Event()
    await published(rig, 5)
    running = asyncio.create_task(rig.consumer(apply=apply, quarantine=keep).run(stop))

    async def is_done() -> bool:
        return len(await rig.applied()) == 5

    await eventually(is_done)
    stop.set()
    await running
    async with rig.engine.connect() as conn:
        assert (await conn.execute(QUARANTINED.select())).all() == []


async def test_a_killed_database_connection_only_delays(rig: Rig) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(rig.consumer(batch_max=5).run(stop))
    for number in range(30):
        await published(rig, 4)
        if number in {5, 15, 25}:
            await _kill_other_connections(rig)

    async def is_done() -> bool:
        return len(await rig.applied()) >= 120

    await eventually(is_done)
    stop.set()
    await running
    assert await rig.applied() == list(range(1, 121))


async def _kill_other_connections(rig: Rig) -> None:
    async with rig.engine.connect() as conn:
        await conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await asyncio.sleep(0.05)  # the publisher of this test does not try again, so let it hear of it


async def test_while_the_producer_is_away_a_gap_waits_and_is_never_skipped(rig: Rig) -> None:
    away = True

    async def fetch(after: int, limit: int) -> EventPage:
        if away:
            raise NoAnswer("gateway", "timeout")
        return await rig.fetch(after, limit)

    await _with_group(rig)
    await published(rig, 5)
    first = (await rig.redis.xrange(rig.stream, count=1))[0][0]
    await rig.redis.xdel(rig.stream, first)
    stop = asyncio.Event()
    running = asyncio.create_task(rig.consumer(fetch=fetch).run(stop))
    await asyncio.sleep(0.6)
    assert await rig.applied() == []

    away = False

    async def is_done() -> bool:
        return len(await rig.applied()) == 5

    await eventually(is_done)
    stop.set()
    await running
    assert await rig.applied() == [1, 2, 3, 4, 5]


async def test_an_api_with_a_hole_is_not_believed(rig: Rig) -> None:
    async def fetch(after: int, limit: int) -> EventPage:
        return EventPage([an_event(position=after + 2)], after + 2)

    with pytest.raises(FetchFailed, match="skips position 1"):
        await rig.consumer(fetch=fetch, head_check_s=0).run_once()
    assert await rig.applied() == []


async def test_an_entry_that_is_no_event_is_dropped_and_its_gap_filled(rig: Rig) -> None:
    await _with_group(rig)
    await rig.redis.xadd(rig.stream, {"position": "1", "event": "{"})
    await rig.redis.xadd(rig.stream, {"something": "else"})
    await rig.write(2)
    await rig.relay().assign()

    await rig.consume_all(rig.consumer(head_check_s=0), 2)

    assert await rig.applied() == [1, 2]
    assert (await rig.redis.xpending(rig.stream, "reader"))["pending"] == 0


async def test_a_consumer_that_starts_late_reads_all_history(rig: Rig) -> None:
    await published(rig, 50)
    await rig.redis.delete(rig.stream)

    await rig.consume_all(rig.consumer("latecomer"), 50)

    assert await rig.applied() == list(range(1, 51))


async def test_everything_goes_wrong_at_once_and_the_sum_is_right(rig: Rig, own_redis: OwnRedis) -> None:
    """Writers that roll back, two relays, two consumers, flushes, dropped entries, killed connections."""
    dice = random.Random(20261123)
    async with own_redis.client() as redis:
        rig.redis = redis
        stop = asyncio.Event()
        running = [asyncio.create_task(rig.relay(batch_max=9).run(stop)) for _ in range(2)]
        running += [asyncio.create_task(_consumer(rig).run(stop)) for _ in range(2)]
        for number in range(80):
            await _write_or_roll_back(rig, dice)
            await _disturb(rig, redis, own_redis, number)
        expected = len(await rig.positions())

        async def is_complete() -> bool:
            return len(await rig.applied()) >= expected

        await eventually(is_complete, timeout_s=60, what="the effect of every event")
        stop.set()
        await asyncio.gather(*running)
    assert await rig.applied() == list(range(1, expected + 1))
    assert await rig.positions() == list(range(1, expected + 1))


def _consumer(rig: Rig) -> StreamConsumer:
    return rig.consumer(batch_max=11)


async def _write_or_roll_back(rig: Rig, dice: random.Random) -> None:
    async with rig.engine.connect() as conn:
        await outbox.append(conn, rig_tables(), [an_event() for _ in range(dice.randint(1, 6))])
        await asyncio.sleep(dice.uniform(0, 0.01))
        await (conn.rollback() if dice.random() < 0.3 else conn.commit())


def rig_tables() -> outbox.OutboxTables:
    from event_rig import TABLES

    return TABLES


async def _disturb(rig: Rig, redis: Any, own_redis: OwnRedis, number: int) -> None:
    if number % 13 == 5:
        await redis.flushall()
    if number % 17 == 7:
        for entry_id, _ in await redis.xrange(rig.stream, count=5):
            await redis.xdel(rig.stream, entry_id)
    if number % 29 == 11:
        own_redis.kill()
        own_redis.start()
    if number % 31 == 19:
        await _kill_other_connections(rig)


def test_errors_that_pass_by_themselves_are_told_from_those_that_do_not() -> None:
    class Lost(Exception):
        sqlstate = "57P01"

    class Broken(Exception):
        sqlstate = "23505"

    assert is_transient(DBAPIError("x", None, Lost()))
    assert not is_transient(DBAPIError("x", None, Broken()))
    assert is_transient(ConnectionResetError())
    assert not is_transient(KeyError("x"))


async def test_who_takes_the_lease_prepares_before_anything_is_applied_until_it_succeeds(rig: Rig) -> None:
    await published(rig, 3)
    applied_before: list[list[int]] = []

    async def prepare() -> None:
        applied_before.append(await rig.applied())
        if len(applied_before) == 1:
            raise OSError("the database is away")

    consumer = rig.consumer(prepare=prepare)
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))

    async def is_applied() -> bool:
        return consumer.position == 3

    await eventually(is_applied)
    stop.set()
    await running
    assert applied_before == [[], []]
    assert await rig.applied() == [1, 2, 3]


async def test_between_batches_that_are_not_full_the_next_one_gathers(rig: Rig) -> None:
    sizes: list[int] = []

    async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
        sizes.append(len(events))
        await rig.apply(conn, events)

    consumer, relay, stop = rig.consumer(apply=apply, gather_s=3.0), rig.relay(), asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))

    async def has_read(position: int) -> bool:
        return consumer.position == position

    await rig.write()
    await rig.relay_all(relay)
    await eventually(lambda: has_read(1), 60)  # one that comes alone waits for nothing
    for _ in range(5):
        await rig.write()
        await rig.relay_all(relay)
    await eventually(lambda: has_read(6), 60)
    stop.set()
    await running
    assert sizes == [1, 5]


async def test_after_a_full_batch_nothing_is_waited_for(rig: Rig) -> None:
    await rig.write(6)
    await rig.relay_all()
    consumer, stop = rig.consumer(batch_max=2, gather_s=600.0), asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))

    async def has_read_all() -> bool:
        return consumer.position == 6

    await eventually(has_read_all, 60)
    stop.set()
    await running
    assert await rig.applied() == [1, 2, 3, 4, 5, 6]
