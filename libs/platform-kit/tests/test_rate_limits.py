"""One bucket for all processes, few round trips, and never open."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest
from event_rig import OwnRedis
from redis.asyncio import Redis

from platform_kit.rate_limits import (
    _DRAW,
    Limit,
    LocalLimiter,
    RateLimited,
    RateLimiter,
    TokenBucket,
)
from platform_kit.redis import create_redis

pytestmark = pytest.mark.timing

_owners = count(1)


def an_owner() -> str:
    return f"owner-{next(_owners)}"


async def admitted(limiter: RateLimiter, owner: str, limit: Limit, requests: int) -> int:
    async def one() -> bool:
        try:
            await limiter.admit(owner, limit)
        except RateLimited:
            return False
        return True

    return sum(await asyncio.gather(*[one() for _ in range(requests)]))


async def draws(redis: Redis) -> int:
    found = (await redis.info("commandstats")).get("cmdstat_evalsha", {})
    return int(found.get("calls", 0))


async def test_two_processes_share_one_bucket(clean_redis_url: str) -> None:
    limit, owner = Limit("write", rate_per_s=1, burst=40), an_owner()
    async with create_redis(clean_redis_url) as one, create_redis(clean_redis_url) as other:
        first, second = RateLimiter(one), RateLimiter(other)
        passed = await asyncio.gather(admitted(first, owner, limit, 100), admitted(second, owner, limit, 100))
        assert sum(passed) == 40


async def test_owners_and_classes_have_buckets_of_their_own(clean_redis_url: str) -> None:
    async with create_redis(clean_redis_url) as redis:
        limiter, owner = RateLimiter(redis), an_owner()
        read, write = Limit("read", 1, 3), Limit("write", 1, 2)
        assert await admitted(limiter, owner, write, 9) == 2
        assert await admitted(limiter, owner, read, 9) == 3
        assert await admitted(limiter, an_owner(), write, 9) == 2


async def test_a_busy_owner_costs_few_round_trips(clean_redis_url: str) -> None:
    limit, owner = Limit("write", rate_per_s=1000, burst=2000), an_owner()
    async with create_redis(clean_redis_url) as redis:
        limiter = RateLimiter(redis)
        before = await draws(redis)
        for _ in range(500):
            await limiter.admit(owner, limit)
        assert await draws(redis) - before < 25


async def test_an_empty_bucket_is_not_asked_for_every_request(clean_redis_url: str) -> None:
    limit, owner = Limit("write", rate_per_s=1, burst=1), an_owner()
    async with create_redis(clean_redis_url) as redis:
        limiter = RateLimiter(redis)
        assert await admitted(limiter, owner, limit, 1) == 1
        before = await draws(redis)
        for _ in range(200):
            assert await admitted(limiter, owner, limit, 1) == 0
        assert await draws(redis) - before <= 2


async def test_a_client_at_its_limit_gets_its_rate(clean_redis_url: str) -> None:
    limit, owner = Limit("write", rate_per_s=200, burst=1), an_owner()
    async with create_redis(clean_redis_url) as redis:
        limiter = RateLimiter(redis)
        passed, until = 0, time.monotonic() + 0.5
        while time.monotonic() < until:
            passed += await admitted(limiter, owner, limit, 1)
            await asyncio.sleep(0.001)
        assert passed <= 1 + 0.5 * 200 + 1
        assert passed >= 5, "one token at least each time the bucket is asked"


async def test_a_draw_that_is_repeated_is_granted_once(clean_redis_url: str) -> None:
    """Whoever repeats the call: a client library that retries, a proxy, we."""
    async with create_redis(clean_redis_url) as redis:
        script = redis.register_script(_DRAW)
        assert await script(["limit:test:repeated"], (1, 100, 10, "draw-1")) == [10, 90]
        assert await script(["limit:test:repeated"], (1, 100, 10, "draw-1")) == [10, 90]
        assert await script(["limit:test:repeated"], (1, 100, 10, "draw-2")) == [10, 80]


async def test_without_redis_each_process_grants_its_share_and_never_all() -> None:
    limit = Limit("write", rate_per_s=1, burst=40)
    async with create_redis("redis://127.0.0.1:1/0") as nobody:
        assert await admitted(RateLimiter(nobody, local_share=0.25), an_owner(), limit, 100) == 10


async def test_a_frozen_redis_delays_one_request_and_then_none(own_redis: OwnRedis) -> None:
    limit, owner = Limit("write", rate_per_s=1, burst=400), an_owner()
    async with create_redis(own_redis.url) as redis:
        limiter = RateLimiter(redis)
        await limiter.admit(owner, limit)
        own_redis.freeze()
        try:
            started = time.monotonic()
            for _ in range(20):
                await limiter.admit(an_owner(), limit)
            assert time.monotonic() - started < 0.5
        finally:
            own_redis.thaw()


async def test_limits_are_shared_again_when_redis_is_back(own_redis: OwnRedis) -> None:
    limit, owner = Limit("write", rate_per_s=1, burst=40), an_owner()
    clock = [1000.0]
    async with create_redis(own_redis.url) as redis:
        limiter = RateLimiter(redis, now=lambda: clock[0])
        own_redis.kill()
        assert await admitted(limiter, owner, limit, 100) == 10
        own_redis.start()
        clock[0] += 2
        async with create_redis(own_redis.url) as other:
            assert await admitted(RateLimiter(other), owner, limit, 30) == 30
        assert await admitted(limiter, owner, limit, 100) == 10


def test_a_lease_says_what_remains_and_when_all_of_it_is_back() -> None:
    limit = Limit("write", rate_per_s=100, burst=200)
    assert limit.policy == '"write";q=200;w=2'


async def test_the_standing_counts_what_is_leased_and_what_is_shared(clean_redis_url: str) -> None:
    limit = Limit("read", rate_per_s=10, burst=200)
    async with create_redis(clean_redis_url) as redis:
        lease = await RateLimiter(redis).admit(an_owner(), limit)
        assert lease.standing() == '"read";r=199;t=1'


def test_a_bucket_fills_at_its_rate_and_no_clock_that_goes_back_empties_it() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=20, now_s=100.0)
    assert bucket.take(25, 100.0) == 20
    assert bucket.take(5, 100.35) == 3
    assert bucket.take(1, 50.0) == 0
    assert bucket.take(100, 500.0) == 20


def test_failures_are_counted_by_client_and_forgotten_in_time() -> None:
    clock = [0.0]
    failures = LocalLimiter(rate_per_s=1, burst=3, now=lambda: clock[0])
    for _ in range(5):
        failures.count("10.0.0.1")
    assert failures.spent("10.0.0.1")
    assert not failures.spent("10.0.0.2")
    clock[0] = 1.5
    assert not failures.spent("10.0.0.1")
