"""The relay: numbers committed events and publishes them. outbox.py says why in this way."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit import lease, telemetry
from platform_kit.db import each_by_itself
from platform_kit.logging import get_logger
from platform_kit.outbox_tables import OutboxTables, envelope_of
from platform_kit.process import sleep_unless

PUBLISH_MAX: Final = 500  # XADDs in one pipeline: 29,200 events/s at 500 against 22,500 at 100
# A round costs this process, Postgres and each consumer the same whatever it carries: at 20 ms events took a third of a
# payment's CPU. It adds at most this to an event's way. NOTIFY would be quicker by 100 ms on average, but it takes a
# database-wide lock at every commit that notifies, and those are on the money path.
POLL_S: Final = 0.2
FLOOR_STEP_S: Final = 2.0  # our transactions commit in milliseconds; one that takes 2 to 4 s waits for ...
FULL_LOOK_S: Final = 5.0  # ... a look at everything, this often
RETRY_S: Final = 0.05
RETRY_MAX_S: Final = 2.0
DATABASE_RETRY_S: Final = 0.5
TRIM_EVERY_S: Final = 5.0
KEPT_MAX: Final = 20_000  # entries kept for a consumer that is away: 40 MB of the 256 that Redis has here
KEPT_WHEN_FULL: Final = 1_000  # when Redis refuses writes for lack of memory

log = get_logger(__name__)


class SeqFloor:
    """From where the relay looks for events without a position.

    Numbered rows leave dead entries in the partial index. Vacuum cannot remove them while some old snapshot
    is open (a dump, a report), and every look would walk over all of them: 60,000 made a batch five times
    slower. So most looks begin where the numbering was a few seconds ago, and now and then one begins at
    the beginning, for the event of a transaction that was open for longer than that.
    """

    def __init__(
        self,
        step_s: float = FLOOR_STEP_S,
        full_every_s: float = FULL_LOOK_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._step_s = step_s
        self._full_every_s = full_every_s
        self._now = now
        self._floor = self._next = self._seen = 0
        self._moved_at_s = self._full_at_s = now()

    def now(self) -> int:
        """`seq` above which to look this time."""
        at_s = self._now()
        if at_s - self._full_at_s >= self._full_every_s:
            self._full_at_s = at_s
            return 0
        if at_s - self._moved_at_s >= self._step_s:
            self._moved_at_s = at_s
            self._floor, self._next = self._next, self._seen
        return self._floor

    def saw(self, seq: int) -> None:
        """The highest `seq` of a batch that was numbered."""
        self._seen = max(self._seen, seq)


class Relay:
    """Numbers committed events and publishes them, in two steps that may each be repeated.

    A crash between the commit of the numbers and the publication, or between publication and mark,
    publishes again: consumers drop what they have seen. Two relays at once do no harm (the counter row
    serialises numbering); the advisory lock only keeps the second one quiet. No transaction is open while
    Redis is spoken to.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        tables: OutboxTables,
        redis: Redis,
        stream: str,
        batch_max: int = PUBLISH_MAX,
    ) -> None:
        self._engine = engine
        self._at_once = each_by_itself(engine)
        self._tables = tables
        self._redis = redis
        self._stream = stream
        self._batch_max = batch_max
        self._publish_after_s = 0.0
        self._failures = 0
        self._trim_after_s = 0.0
        self._seq_floor = SeqFloor()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`, through restarts of Postgres and Redis."""
        while not stop.is_set():
            try:
                async with lease.held(self._engine, f"relay {self._tables.event.fullname}", stop) as held:
                    if held is not None:
                        await self._lead(held, stop)
            except (SQLAlchemyError, OSError) as error:
                log.warning("relay lost the database", stream=self._stream, error=repr(error))
                await sleep_unless(stop, DATABASE_RETRY_S)

    async def _lead(self, held: lease.Lease, stop: asyncio.Event) -> None:
        pause_s = 0.0
        while not await sleep_unless(stop, pause_s):
            await held.still_held()
            is_full = await self.run_once() >= self._batch_max
            pause_s = 0.0 if is_full else POLL_S

    async def run_once(self) -> int:
        """One round: number a batch, publish a batch, trim now and then. Returns the larger count of the two.

        Raises SQLAlchemyError or OSError when Postgres is away; Redis being away is waited out here.
        """
        numbered = await self.assign()
        published = 0
        if time.monotonic() >= self._publish_after_s:
            try:
                published = await self.publish()
                await self._trim_sometimes()
                self._failures = 0
            except (RedisError, OSError, TimeoutError) as error:
                self._back_off(error)
                await self._make_room(error)
        return max(numbered, published)

    def _back_off(self, error: Exception) -> None:
        self._failures += 1
        if self._failures in {1, 10} or self._failures % 100 == 0:
            log.warning(
                "stream not reachable", stream=self._stream, error=repr(error), failures=self._failures
            )
        pause_s = min(RETRY_MAX_S, RETRY_S * 2 ** min(self._failures, 10))
        self._publish_after_s = time.monotonic() + random.uniform(pause_s / 2, pause_s)

    async def _make_room(self, error: Exception) -> None:
        """A full Redis (noeviction) refuses XADD and takes XTRIM: our own entries are what we can give up."""
        if isinstance(error, OutOfMemoryError):
            with contextlib.suppress(RedisError, OSError):
                await trim(self._redis, self._stream, KEPT_WHEN_FULL)

    async def assign(self) -> int:
        """Give the next positions to committed events; returns how many. One short transaction, none when
        idle.
        """
        sql = self._tables.sql
        floor = self._seq_floor.now()
        async with self._at_once.connect() as conn:
            if not await conn.scalar(sql["IS_WAITING"], {"floor": floor}):
                return 0
        async with self._engine.begin() as conn:
            last = await conn.scalar(sql["LOCK_HEAD"])
            if last is None:  # the first relay of this database
                await conn.execute(sql["CREATE_HEAD"])
                last = await conn.scalar(sql["LOCK_HEAD"])
            values = {"last": last, "limit": self._batch_max, "floor": floor}
            result = (await conn.execute(sql["ASSIGN"], values)).one()
        self._seq_floor.saw(result.last_seq)
        telemetry.outbox_position.set(int(last or 0) + result.given)
        return int(result.given)

    async def publish(self) -> int:
        """Put what is numbered and not marked on the stream, in order, then move the mark; returns how
        many.
        """
        sql = self._tables.sql
        async with self._at_once.connect() as conn:
            head = (await conn.execute(sql["READ_HEAD"])).first()
            if head is None or head.last_position == head.published_position:
                telemetry.outbox_unpublished.set(0)
                return 0
            rows = (
                await conn.execute(sql["AFTER"], {"after": head.published_position, "limit": self._batch_max})
            ).all()
        # A transaction, so that a reader who waits wakes once for all of them, not for the first alone.
        pipeline = self._redis.pipeline(transaction=True)
        for row in rows:
            fields: dict[Any, Any] = {"position": row.position, "event": orjson.dumps(envelope_of(row))}
            pipeline.xadd(self._stream, fields)
        await pipeline.execute()
        async with self._at_once.connect() as conn:
            await conn.execute(sql["MARK_PUBLISHED"], {"position": rows[-1].position})
        telemetry.outbox_published_total.inc(len(rows))
        telemetry.outbox_unpublished.set(head.last_position - rows[-1].position)
        return len(rows)

    async def _trim_sometimes(self) -> None:
        if time.monotonic() < self._trim_after_s:
            return
        self._trim_after_s = time.monotonic() + TRIM_EVERY_S
        await trim(self._redis, self._stream)


async def trim(redis: Redis, stream: str, kept_max: int = KEPT_MAX) -> None:
    """Drop entries that every group has acknowledged; beyond `kept_max` also others, for memory is bounded.

    A plain MAXLEN as the rule would drop what a slow group has not read. As the last bound it is safe here,
    because a consumer fills every gap from the events API: Redis is transport, not record.
    """
    acknowledged = await _acknowledged_below(redis, stream)
    if acknowledged is not None:
        await redis.xtrim(stream, minid=acknowledged, approximate=True)
    await redis.xtrim(stream, maxlen=kept_max, approximate=True)


async def _acknowledged_below(redis: Redis, stream: str) -> bytes | None:
    """The lowest stream id that some group still needs, or None without groups or stream."""
    if not await redis.exists(stream):
        return None
    needed: list[bytes] = []
    for group in await redis.xinfo_groups(stream):
        pending = await redis.xpending(stream, group["name"])
        needed.append(pending["min"] if pending["pending"] else group["last-delivered-id"])
    return min(needed, key=_stream_id) if needed else None


def _stream_id(value: bytes) -> tuple[int, int]:
    milliseconds, _, number = value.partition(b"-")
    return int(milliseconds), int(number or 0)
