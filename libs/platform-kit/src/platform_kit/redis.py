"""The Redis client of the platform: no retries of its own, every wait bounded."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_S = 2.0  # of one command; a frozen server is treated like a dead one
CONNECT_TIMEOUT_S = 1.0
# One connection per command in flight; beyond it a command fails at once, as if Redis were away. The pool
# that waits instead costs 13 us more on every call (47 against 34), on the path of every risk decision.
CONNECTIONS_MAX = 500
HEALTH_CHECK_S = 15  # a connection idle for longer is pinged before use


def create_redis(
    url: str,
    password: str | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    connections_max: int = CONNECTIONS_MAX,
) -> Redis:
    """A client answering bytes. A command that fails, fails.

    redis-py 8.1 would repeat it up to ten times, timeouts included, and so append an XADD twice (measured;
    reliability.md 1.1 row 8).
    """
    options: dict[str, Any] = {"password": password} if password else {}
    client: Redis = Redis.from_url(
        url,
        **options,
        protocol=2,  # one reply shape on every Redis >= 7.2 and Valkey
        decode_responses=False,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        socket_timeout=timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_S,
        max_connections=connections_max,
    )
    return client


async def ping_redis(client: Redis) -> None:
    """Raises when Redis does not answer."""
    await client.ping()
