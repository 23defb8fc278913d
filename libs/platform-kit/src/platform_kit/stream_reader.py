"""The Redis side of a consumer: its group, what was delivered and never acknowledged, what is new."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from platform_kit.events import Event
from platform_kit.logging import get_logger

RETRY_S: Final = 0.1
RETRY_MAX_S: Final = 5.0

log = get_logger(__name__)


class NoGroup(Exception):
    """The stream or the group is gone: flushed, or a failover lost it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery. `event` is None for what is no envelope; the gap that it leaves is filled from the API."""

    id: bytes
    event: Event | None


class StreamReader:
    """Reads one stream as one group, under one stable consumer name. Raises RedisError or OSError when
    Redis is away; the caller then says `lost`, and `is_away` tells for how long to leave it alone.
    """

    def __init__(self, redis: Redis, stream: str, group: str, *, batch_max: int, block_ms: int) -> None:
        timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
        if timeout_s is not None and block_ms >= timeout_s * 1000:
            raise ValueError(f"a read that waits {block_ms} ms needs a socket timeout above {timeout_s} s")
        self._redis = redis
        self._stream = stream
        self._group = group
        self._batch_max = batch_max
        self._block_ms = block_ms
        self._has_pending = True
        self._failures = 0
        self._away_until_s = 0.0

    @property
    def is_away(self) -> bool:
        """Whether Redis failed a moment ago and should be left alone."""
        return time.monotonic() < self._away_until_s

    def forget(self) -> None:
        """Something went wrong after a read: what was delivered is not acknowledged, read it again first."""
        self._has_pending = True

    async def read(self) -> Sequence[Entry]:
        """Unacknowledged entries first, then new ones; waits up to `block_ms`. Raises NoGroup."""
        try:
            delivered = await self._pending() or await self._new()
        except ResponseError as error:
            if "NOGROUP" in str(error):
                raise NoGroup from error
            raise
        self._failures = 0
        return [Entry(entry_id, self._parse(entry_id, fields)) for entry_id, fields in delivered]

    async def _pending(self) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
        """Entries delivered to us, or to a reader of an earlier life, and never acknowledged."""
        if not self._has_pending:
            return []
        _, claimed, *_ = await self._redis.xautoclaim(
            self._stream, self._group, self._group, min_idle_time=0, start_id="0-0", count=self._batch_max
        )
        self._has_pending = bool(claimed)
        return [(entry_id, fields or {}) for entry_id, fields in claimed]

    async def _new(self) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
        reply: Any = await self._redis.xreadgroup(
            self._group, self._group, {self._stream: ">"}, count=self._batch_max, block=self._block_ms
        )
        return [(entry_id, fields or {}) for entry_id, fields in reply[0][1]] if reply else []

    def _parse(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event | None:
        try:
            return Event.from_envelope(orjson.loads(fields[b"event"]))
        except (KeyError, TypeError, ValueError):
            log.warning(
                "entry is no event", stream=self._stream, entry_id=entry_id.decode("ascii", "replace")
            )
            return None

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        await self._redis.xack(self._stream, self._group, *[entry.id for entry in entries])

    async def make_group(self) -> None:
        """Make the group, and the stream, from the first entry that there is."""
        log.warning("no group, making it", stream=self._stream, group=self._group)
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_pending = False

    async def last_position(self) -> int:
        """Position of the newest entry; 0 on an empty stream."""
        last: Any = await self._redis.xrevrange(self._stream, count=1)
        return int((last[0][1] or {}).get(b"position", 0)) if last else 0

    def lost(self, error: Exception) -> None:
        """Redis did not answer: leave it alone for a while, longer each time."""
        self._failures += 1
        self.forget()
        if self._failures in {1, 10} or self._failures % 100 == 0:
            log.warning(
                "stream not reachable", stream=self._stream, error=repr(error), failures=self._failures
            )
        pause_s = min(RETRY_MAX_S, RETRY_S * 2 ** min(self._failures, 10))
        self._away_until_s = time.monotonic() + random.uniform(pause_s / 2, pause_s)
