"""How many requests a key may send: reads and writes apart, over all processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from payment_gateway.settings import Settings
from platform_kit.rate_limits import Lease, Limit, LocalLimiter, RateLimiter
from platform_kit.redis import create_redis

TRANSFERS_PER_TOKEN: Final = 10  # of a batch: a flush writes ten of them for what a request by itself costs
BURST_S: Final = 2  # a key that was quiet may send this many seconds of its rate at once
READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """`failures` counts what was sent with no valid key, by client address, in this process."""

    limiter: RateLimiter
    failures: LocalLimiter
    read: Limit
    write: Limit

    async def admit(self, key_id: str, method: str) -> Lease:
        """Count a request of this key. Raises RateLimited."""
        return await self.limiter.admit(key_id, self.read if method in READS else self.write)

    async def admit_batch(self, key_id: str, transfers: int) -> None:
        """Count what a batch weighs beyond its request, which is counted already. Raises RateLimited."""
        for _ in range((transfers - 1) // TRANSFERS_PER_TOKEN):
            await self.limiter.admit(key_id, self.write)


@asynccontextmanager
async def open_limits(settings: Settings) -> AsyncIterator[RequestLimits]:
    redis = create_redis(settings.limits)
    try:
        yield RequestLimits(
            RateLimiter(redis, local_share=settings.rate_limit_local_share),
            LocalLimiter(settings.auth_failures_per_s, settings.auth_failures_burst),
            read=_limit("read", settings.rate_limit_reads_per_s),
            write=_limit("write", settings.rate_limit_writes_per_s),
        )
    finally:
        await redis.aclose()


def _limit(name: str, rate_per_s: int) -> Limit:
    return Limit(name, rate_per_s, rate_per_s * BURST_S)
