"""The client repeats nothing and waits for nothing long."""

from __future__ import annotations

import asyncio
import time

import pytest
from event_rig import OwnRedis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from platform_kit.redis import create_redis, ping_redis

pytestmark = pytest.mark.timing


async def test_a_command_that_times_out_is_sent_once(own_redis: OwnRedis) -> None:
    """redis-py 8.1 by default repeats it: one XADD against a frozen server appended two entries."""
    async with create_redis(own_redis.url, timeout_s=0.2) as client:
        await client.xadd("s", {"a": 1})
        own_redis.freeze()
        command = asyncio.ensure_future(client.xadd("s", {"a": 2}))
        await asyncio.sleep(0.5)  # a client that repeats is about to do so when the server answers again
        own_redis.thaw()
        with pytest.raises(RedisTimeoutError):
            await command
        await asyncio.sleep(0.2)
        assert await client.xlen("s") == 2


async def test_a_dead_server_is_an_error_at_once() -> None:
    async with create_redis("redis://127.0.0.1:1/0") as client:
        started = time.monotonic()
        with pytest.raises(RedisConnectionError):
            await ping_redis(client)
        assert time.monotonic() - started < 1


async def test_a_password_given_apart_is_used(own_redis: OwnRedis) -> None:
    async with own_redis.client() as open_client:
        await open_client.config_set("requirepass", "hunter2")
    async with create_redis(own_redis.url, "hunter2") as client:
        await ping_redis(client)
        assert await client.set("a", "b")
        assert await client.get("a") == b"b"


async def test_replies_are_not_crossed_after_cancelled_commands(own_redis: OwnRedis) -> None:
    """redis-py#2624: a cancelled command once left its reply for the next caller."""
    patient = create_redis(own_redis.url, timeout_s=60)  # a machine that stands still is no crossed reply
    async with patient as client:
        for number in range(100):
            await client.set(f"k{number}", str(number))

        async def read(number: int) -> None:
            assert await client.get(f"k{number}") == str(number).encode()

        for round_ in range(20):
            reads = [asyncio.create_task(read(number)) for number in range(100)]
            await asyncio.sleep(0.0005 * (round_ % 4))
            for task in reads[::3]:
                task.cancel()
            for outcome in await asyncio.gather(*reads, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError)
