"""Rate limits: one token bucket per owner and class for all processes, kept in Redis, drawn from in small leases.

A busy owner's request takes a token that this process has drawn already: no round trip. A quiet owner's lease is one
token. When Redis is away, each process fills a bucket of its own at a stated share of the rate: never "open".
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from platform_kit import telemetry
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import Problem

LEASE_S: Final = 1.0  # what is left of a lease is then let go: the bucket has filled by more meanwhile
LEASES_PER_S: Final = (
    20  # a key at its limit costs a process this many round trips a second, not one per request
)
DRAW_TIMEOUT_S: Final = 0.1  # a frozen Redis costs a request this much, once per `AWAY_S`
AWAY_S: Final = 1.0  # so long Redis is not asked again after it failed
OWNERS_MAX: Final = 10_000
RETRY_AFTER_S: Final = 1  # no bucket of ours fills more slowly than a token a second

# Redis's clock decides; the request id makes a repeated call harmless, whoever repeats it.
_DRAW: Final = """
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local seen = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'draw', 'granted')
local tokens = burst
if seen[1] then
    tokens = math.min(burst, tonumber(seen[1]) + math.max(0, now - tonumber(seen[2])) * rate)
    if seen[3] == ARGV[4] then
        return {tonumber(seen[4]), math.floor(tokens)}
    end
end
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now),
    'draw', ARGV[4], 'granted', granted)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return {granted, math.floor(tokens)}
"""

log = get_logger(__name__)


class RateLimited(Problem):
    status, code, title = 429, "rate-limited", "Too many requests"

    def __init__(self, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(
            f"Send it again in {RETRY_AFTER_S} s, with the same idempotency key.",
            headers={"Retry-After": str(RETRY_AFTER_S), **headers},
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `burst` at once and `rate_per_s` in the long run. `name` stands in the headers."""

    name: str
    rate_per_s: int
    burst: int

    @property
    def policy(self) -> str:
        """The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return f'"{self.name}";q={self.burst};w={math.ceil(self.burst / self.rate_per_s)}'


class TokenBucket:
    """Fills at `rate_per_s` up to `burst`; starts full. The clock comes with each call, in seconds."""

    __slots__ = ("_at_s", "_burst", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._tokens, self._at_s = burst, now_s

    def take(self, wanted: int, now_s: float) -> int:
        """How many of the wanted tokens there are; they are gone then."""
        self._fill(now_s)
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        return granted

    def left(self, now_s: float) -> int:
        self._fill(now_s)
        return int(self._tokens)

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s


class LocalLimiter:
    """Buckets of this process alone, for what must not cost a round trip: failed authentications by client."""

    def __init__(self, rate_per_s: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate_per_s, self._burst, self._now = rate_per_s, burst, now
        self._buckets: dict[str, TokenBucket] = {}

    def spent(self, owner: str) -> bool:
        """Whether the owner has no token left."""
        bucket = self._buckets.get(owner)
        return bucket is not None and bucket.left(self._now()) < 1

    def count(self, owner: str) -> None:
        """Take a token, if there is one."""
        now_s = self._now()
        bucket = self._buckets.get(owner)
        if bucket is None:
            if len(self._buckets) >= OWNERS_MAX:
                self._buckets.clear()
            bucket = self._buckets[owner] = TokenBucket(self._rate_per_s, self._burst, now_s)
        bucket.take(1, now_s)


@dataclass(slots=True)
class Lease:
    """What one process holds of one owner's bucket. `shared` is what the bucket had left at the last draw."""

    limit: Limit
    policy: bytes
    tokens: int = 0
    good_until_s: float = 0.0
    empty_until_s: float = 0.0
    step: int = 1
    shared: int = 0
    waiting: int = 0
    drawing: asyncio.Task[None] | None = None
    local: TokenBucket | None = field(default=None)

    def standing(self) -> str:
        """The value of `RateLimit`: what remains, and the seconds until all of it is back."""
        remaining = self.tokens + self.shared
        back_s = math.ceil(max(0, self.limit.burst - remaining) / self.limit.rate_per_s)
        return f'"{self.limit.name}";r={remaining};t={back_s}'


class RateLimiter:
    """Belongs to one event loop. `local_share` of a limit is what this process grants alone while Redis is away."""

    def __init__(
        self, redis: Redis, *, local_share: float = 0.25, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._draw_tokens = redis.register_script(_DRAW)
        self._local_share = local_share
        self._now = now
        self._leases: dict[tuple[str, str], Lease] = {}
        self._away_until_s = 0.0
        self._is_away = False

    async def admit(self, owner: str, limit: Limit) -> Lease:
        """Take one token; the lease says what remains. Raises RateLimited, before anything else was done."""
        lease = self._leases.get((owner, limit.name))
        if lease is None:
            if len(self._leases) >= OWNERS_MAX:
                self._leases.clear()
            lease = self._leases[owner, limit.name] = Lease(limit, limit.policy.encode())
        if not self._take(lease):
            await self._draw_and_take(owner, lease)
        return lease

    def _take(self, lease: Lease) -> bool:
        if lease.tokens < 1 or self._now() >= lease.good_until_s:
            return False
        lease.tokens -= 1
        return True

    async def _draw_and_take(self, owner: str, lease: Lease) -> None:
        lease.waiting += 1
        try:
            while not self._take(lease):
                if (
                    self._now() < lease.empty_until_s
                ):  # whoever hammers at an empty bucket costs Redis nothing
                    telemetry.rate_limited_total.labels(lease.limit.name).inc()
                    told = {"RateLimit-Policy": lease.limit.policy, "RateLimit": lease.standing()}
                    raise RateLimited(told)
                if lease.drawing is None or lease.drawing.done():
                    lease.drawing = asyncio.create_task(self._draw(owner, lease))
                await asyncio.shield(lease.drawing)
        finally:
            lease.waiting -= 1

    async def _draw(self, owner: str, lease: Lease) -> None:
        """Tokens for all that wait, and as many ahead as the last leases were used up."""
        was_used_up = lease.tokens < 1
        most = max(1, lease.limit.rate_per_s // LEASES_PER_S)
        lease.step = min(most, lease.step * 2) if was_used_up else max(1, lease.step // 2)
        wanted = max(lease.step, lease.waiting)
        granted, lease.shared = await self._shared(owner, lease.limit, wanted) or self._alone(lease, wanted)
        now_s = self._now()
        lease.tokens, lease.good_until_s = granted, now_s + LEASE_S
        if granted < 1:
            lease.empty_until_s = now_s + 1 / min(lease.limit.rate_per_s, LEASES_PER_S)

    async def _shared(self, owner: str, limit: Limit, wanted: int) -> tuple[int, int] | None:
        """What the bucket in Redis granted and has left; None while Redis is away."""
        now_s = self._now()
        if now_s < self._away_until_s:
            return None
        if self._is_away:
            self._away_until_s = now_s + AWAY_S  # this call tries it; the others go on alone meanwhile
        arguments = (limit.rate_per_s, limit.burst, wanted, new_id("draw"))
        try:
            async with asyncio.timeout(DRAW_TIMEOUT_S):
                granted, left = await self._draw_tokens([f"limit:{limit.name}:{owner}"], arguments)
        except (RedisError, OSError, TimeoutError) as error:
            if not self._is_away:
                log.warning("rate limits are kept by each process alone", error=type(error).__name__)
            self._is_away, self._away_until_s = True, self._now() + AWAY_S
            telemetry.rate_limits_alone.set(1)
            return None
        if self._is_away:
            log.info("rate limits are shared again")
            self._is_away, self._away_until_s = False, 0.0
            telemetry.rate_limits_alone.set(0)
        return granted, left

    def _alone(self, lease: Lease, wanted: int) -> tuple[int, int]:
        now_s = self._now()
        if lease.local is None:
            share = self._local_share
            burst = max(1.0, lease.limit.burst * share)
            lease.local = TokenBucket(lease.limit.rate_per_s * share, burst, now_s)
        return lease.local.take(wanted, now_s), lease.local.left(now_s)
