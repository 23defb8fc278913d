"""Positions are dense and follow commits; publication repeats and never skips."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from asgi_call import call
from event_rig import TABLES, OwnRedis, Rig, an_engine, an_event, eventually
from fastapi import FastAPI, HTTPException
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from platform_kit import lease, outbox
from platform_kit.outbox import Event, Relay, events_router
from platform_kit.relay import SeqFloor, trim


async def test_an_event_is_stored_and_read_back_as_it_was(rig: Rig) -> None:
    event = an_event(merchant_id="mer_1", traceparent=None, data={"a": [1, {"b": "ü\n"}]})
    async with rig.engine.begin() as conn:
        await outbox.append(conn, TABLES, [event])
    await rig.relay().assign()

    page = await rig.fetch(0, 10)

    assert page.head == 1
    assert page.events[0].envelope() == event.envelope() | {"position": 1}
    assert Event.from_envelope(page.events[0].envelope()) == page.events[0]


async def test_an_envelope_has_the_members_of_the_contract(rig: Rig) -> None:
    assert list(an_event().envelope()) == [
        *("id", "type", "position", "occurred_at", "aggregate_id", "merchant_id", "traceparent", "data")
    ]
    assert an_event().envelope()["occurred_at"] == "2026-11-23T04:05:06.789012Z"


async def test_an_event_of_a_rolled_back_transaction_does_not_exist(rig: Rig) -> None:
    async with rig.engine.connect() as conn:
        await outbox.append(conn, TABLES, [an_event()])
        await conn.rollback()

    assert await rig.relay().assign() == 0
    assert await rig.positions() == []


async def test_the_same_event_twice_is_refused(rig: Rig) -> None:
    event = an_event()
    with pytest.raises(IntegrityError):
        async with rig.engine.begin() as conn:
            await outbox.append(conn, TABLES, [event, event])


async def test_positions_are_dense_with_eight_writers_of_which_some_roll_back(rig: Rig) -> None:
    committed: list[str] = []
    writing = asyncio.Event()

    async def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(40):
            events = [an_event() for _ in range(dice.randint(1, 3))]
            async with rig.engine.connect() as conn:
                await outbox.append(conn, TABLES, events)
                await asyncio.sleep(dice.uniform(0, 0.004))  # commits overtake one another
                if dice.random() < 0.3:
                    await conn.rollback()
                else:
                    await conn.commit()
                    committed.extend(event.id for event in events)

    async def number() -> None:
        relay = rig.relay(batch_max=7)
        while not writing.is_set():
            await relay.assign()
        while await relay.assign():
            pass

    numbering = asyncio.create_task(number())
    await asyncio.gather(*(write(seed) for seed in range(8)))
    writing.set()
    await numbering

    assert await rig.positions() == list(range(1, len(committed) + 1))


async def test_a_transaction_that_commits_late_gets_a_later_position_and_is_not_lost(rig: Rig) -> None:
    """The case that a reader of `id > last` loses for ever: begun first, committed last."""
    early, late = an_event(), an_event()
    relay = rig.relay()
    async with rig.engine.connect() as slow:
        await outbox.append(slow, TABLES, [early])
        async with rig.engine.begin() as quick:
            await outbox.append(quick, TABLES, [late])
        assert await relay.assign() == 1
        await slow.commit()
    assert await relay.assign() == 1

    page = await rig.fetch(0, 10)
    assert [event.id for event in page.events] == [late.id, early.id]


async def test_a_transaction_that_stays_open_for_long_is_found_by_the_look_at_everything(rig: Rig) -> None:
    relay = rig.relay()
    relay._seq_floor = SeqFloor(step_s=0, full_every_s=0.3)
    async with rig.engine.connect() as slow:
        await outbox.append(slow, TABLES, [an_event()])
        for _ in range(4):
            await rig.write(1)
            await relay.assign()
        await slow.commit()

    async def is_numbered() -> bool:
        await relay.assign()
        return None not in await rig.positions()

    await eventually(is_numbered)
    assert await rig.positions() == [1, 2, 3, 4, 5]


def test_the_floor_is_two_steps_behind_and_falls_to_the_ground_now_and_then() -> None:
    at_s = 0.0
    floor = SeqFloor(step_s=2, full_every_s=5, now=lambda: at_s)
    floor.saw(100)
    assert floor.now() == 0
    at_s = 2.0
    assert floor.now() == 0
    floor.saw(200)
    at_s = 4.0
    assert floor.now() == 100
    floor.saw(150)
    at_s = 5.0
    assert floor.now() == 0
    assert floor.now() == 100
    at_s = 6.0
    assert floor.now() == 200


async def test_events_of_one_commit_keep_their_order_whatever_their_ids_say(rig: Rig) -> None:
    """Two writers' clocks may differ: the id's time is not trusted for order."""
    ids = ["evt_z", "evt_a", "evt_m"]
    async with rig.engine.begin() as conn:
        await outbox.append(conn, TABLES, [an_event(id=one) for one in ids])
    await rig.relay().assign()

    assert [event.id for event in (await rig.fetch(0, 10)).events] == ids


async def test_four_relays_at_once_make_no_hole_and_no_double(rig: Rig) -> None:
    relays = [rig.relay(batch_max=5) for _ in range(4)]
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(60):
            await rig.write(3)

    async def number(relay: Relay) -> None:
        while not done.is_set():
            await relay.assign()
        while await relay.assign():
            pass

    numbering = [asyncio.create_task(number(relay)) for relay in relays]
    await asyncio.gather(write(), write())
    done.set()
    await asyncio.gather(*numbering)

    assert await rig.positions() == list(range(1, 361))
    async with rig.engine.connect() as conn:
        head = (await conn.execute(TABLES.sql["READ_HEAD"])).one()
    assert head.last_position == 360


async def test_the_stream_carries_every_event_in_order(rig: Rig) -> None:
    written = await rig.write(25)
    await rig.relay_all(rig.relay(batch_max=10))

    assert await rig.on_stream() == list(range(1, 26))
    entries = await rig.redis.xrange(rig.stream, count=1)
    assert set(entries[0][1]) == {b"position", b"event"}
    assert written[0].id.encode() in entries[0][1][b"event"]


async def test_a_crash_after_publication_and_before_the_mark_publishes_again(rig: Rig) -> None:
    await rig.write(3)
    relay = rig.relay()
    await relay.assign()
    await relay.publish()
    async with rig.engine.begin() as conn:  # the mark as it was before the crash
        await conn.execute(text("UPDATE events_test.outbox_head SET published_position = 1"))

    await rig.relay_all()

    assert await rig.on_stream() == [1, 2, 3, 2, 3]


async def test_a_crash_between_numbering_and_publication_leaves_the_event_to_the_next_relay(rig: Rig) -> None:
    await rig.write(3)
    await rig.relay().assign()  # and then the process is gone
    assert await rig.on_stream() == []

    await rig.relay_all()

    assert await rig.on_stream() == [1, 2, 3]


async def test_while_redis_is_down_positions_are_given_and_then_everything_is_published(
    rig: Rig, own_redis: OwnRedis
) -> None:
    async with own_redis.client() as redis:
        relay = Relay(rig.engine, TABLES, redis, rig.stream)
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        await rig.write(2)
        await eventually(lambda: _has_length(redis, rig.stream, 2))
        own_redis.kill()
        await rig.write(5)
        await eventually(lambda: _is_numbered(rig, 7), what="numbering without Redis")
        await eventually(lambda: _has_failed(relay), what="an attempt to publish")
        own_redis.start()
        await eventually(lambda: _has_length(redis, rig.stream, 5), what="publication after the restart")
        stop.set()
        await running


async def _has_length(redis: Any, stream: str, length: int) -> bool:
    try:
        return bool(await redis.xlen(stream) >= length)
    except (RedisConnectionError, OSError):
        return False


async def _has_failed(relay: Relay) -> bool:
    return relay._failures > 0


async def _is_numbered(rig: Rig, count: int) -> bool:
    positions = await rig.positions()
    return len(positions) == count and None not in positions


async def test_no_transaction_is_open_while_the_relay_speaks_to_redis(rig: Rig) -> None:
    seen: list[int] = []
    relay = rig.relay()
    pipeline = rig.redis.pipeline

    def spying(**options: Any) -> Any:
        made = pipeline(**options)
        execute = made.execute

        async def look(*args: Any, **kwargs: Any) -> Any:
            async with rig.engine.connect() as conn:
                seen.append(
                    await conn.scalar(
                        text(
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                            " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                        )
                    )
                )
            return await execute(*args, **kwargs)

        made.execute = look
        return made

    rig.redis.pipeline = spying
    await rig.write(1)
    await rig.relay_all(relay)

    assert seen == [0]


async def test_two_running_relays_take_turns_and_the_second_takes_over(rig: Rig) -> None:
    first_stop, second_stop = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(rig.relay().run(first_stop))
    second = asyncio.create_task(rig.relay().run(second_stop))
    for _ in range(50):
        await rig.write(2)
        await asyncio.sleep(0.01)
    await eventually(lambda: _has_length(rig.redis, rig.stream, 100))
    assert await rig.on_stream() == list(range(1, 101))  # one of them was quiet

    first_stop.set()
    await first
    await rig.write(2)
    await eventually(lambda: _has_length(rig.redis, rig.stream, 102), what="takeover")
    second_stop.set()
    await second

    assert await rig.on_stream() == list(range(1, 103))


async def test_a_relay_whose_lock_connection_dies_goes_on(rig: Rig) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(rig.relay().run(stop))
    await rig.write(1)
    await eventually(lambda: _has_length(rig.redis, rig.stream, 1))
    async with rig.engine.connect() as conn:
        await conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    await asyncio.sleep(lease.CHECK_S + 0.2)  # long enough to notice
    await rig.write(1)
    await eventually(lambda: _has_length(rig.redis, rig.stream, 2), what="relay after its lock was lost")
    stop.set()
    await running


async def test_an_idle_relay_takes_no_lock_on_the_counter(rig: Rig) -> None:
    relay = rig.relay()
    await rig.write(1)
    await rig.relay_all(relay)
    async with rig.engine.connect() as holder:
        await holder.execute(TABLES.sql["LOCK_HEAD"])
        async with asyncio.timeout(30):
            assert await relay.assign() == 0


async def test_trimming_keeps_what_a_group_has_not_acknowledged(rig: Rig) -> None:
    await rig.write(600)
    await rig.relay_all()
    await rig.redis.xgroup_create(rig.stream, "slow", id="0")
    await rig.redis.xgroup_create(rig.stream, "quick", id="0")
    await rig.redis.xreadgroup("quick", "q", {rig.stream: ">"}, count=600, noack=True)
    entries = await rig.redis.xreadgroup("slow", "s", {rig.stream: ">"}, count=500)
    await rig.redis.xack(rig.stream, "slow", *[entry_id for entry_id, _ in entries[0][1][:400]])

    await trim(rig.redis, rig.stream)

    left = await rig.on_stream()
    assert left[0] <= 401
    assert left[0] > 200, "trimming did nothing"
    assert left[-1] == 600


async def test_trimming_is_bounded_even_for_a_group_that_never_reads(rig: Rig) -> None:
    await rig.write(600)
    await rig.relay_all()
    await rig.redis.xgroup_create(rig.stream, "gone", id="0")

    await trim(rig.redis, rig.stream, kept_max=200)

    left = await rig.on_stream()
    assert 200 <= len(left) < 350
    assert left[-1] == 600


async def test_a_full_redis_is_given_room_and_the_relay_goes_on(rig: Rig, own_redis: OwnRedis) -> None:
    async with own_redis.client() as redis:
        await redis.config_set("maxmemory-policy", "noeviction")
        relay = Relay(rig.engine, TABLES, redis, rig.stream, batch_max=500)
        await rig.write(3000, data={"filler": "x" * 1500})
        for _ in range(4):
            await relay.run_once()
        await redis.config_set("maxmemory", str((await redis.info("memory"))["used_memory"] + 200_000))
        async with asyncio.timeout(20):
            while await _last_on_stream(redis, rig.stream) != 3000:
                await relay.run_once()
        assert await redis.xlen(rig.stream) < 3000


async def _last_on_stream(redis: Any, stream: str) -> int:
    last = await redis.xrevrange(stream, count=1)
    return int(last[0][1][b"position"]) if last else 0


async def test_the_app_role_may_number_an_event_and_not_edit_it(fresh_database: Any) -> None:
    database = await fresh_database("payments")
    async with an_engine(database.admin_url) as admin, admin.begin() as conn:
        await conn.execute(text("GRANT USAGE ON SCHEMA events_test TO payments_app"))
        await conn.execute(
            text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA events_test TO payments_app")
        )
        for statement in outbox.grant_statements(TABLES, "payments_app"):
            await conn.execute(text(statement))
    async with an_engine(database.app_url, with_tables=False) as engine:
        async with engine.begin() as conn:
            await outbox.append(conn, TABLES, [an_event()])
        rig = Rig(engine, None)
        assert await rig.relay().assign() == 1
        for forbidden in (
            "UPDATE events_test.outbox_event SET data = '{}'",
            "DELETE FROM events_test.outbox_event",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with engine.begin() as conn:
                    await conn.execute(text(forbidden))


async def test_the_events_api_pages_by_position_and_refuses_strangers(rig: Rig) -> None:
    await rig.write(5)
    await rig.relay().assign()
    app = FastAPI()

    def stranger_is_refused(allowed: bool = False) -> None:
        if not allowed:
            raise HTTPException(401)

    app.include_router(events_router(lambda: rig.engine, TABLES, stranger_is_refused))

    assert (await call(app, "/internal/events")).status == 401
    page = (await call(app, "/internal/events?allowed=1&after=2&limit=2")).json()
    assert [event["position"] for event in page["data"]] == [3, 4]
    assert page["head"] == 5
    assert page["data"] == [event.envelope() for event in (await rig.fetch(2, 2)).events]
    assert (await call(app, "/internal/events?allowed=1&limit=1001")).status == 422
    assert (await call(app, "/internal/events?allowed=1&after=-1")).status == 422
