"""Events in: read a stream, see gaps by arithmetic, fill them from the events API, apply each event once.

Redis is transport: entries may be lost, repeated, or the whole stream be gone. What is true is the producer's
positions and this consumer's cursor, which moves in the transaction that applies (apply_once.py). Whatever
happens to Redis (stream_reader.py), the consumer ends up contiguous; while Redis is away it reads the API
instead.

The cursor belongs to (consumer, stream), so one process reads at a time, under a lease; a standby waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit import lease, telemetry
from platform_kit.apply_once import Apply, ApplyOnce, NotApplied, PoisonCapReached, Quarantine
from platform_kit.http import CallFailed, HttpClient
from platform_kit.logging import get_logger
from platform_kit.outbox import PAGE_MAX, Event, EventPage
from platform_kit.process import sleep_unless
from platform_kit.stream_reader import Entry, NoGroup, StreamReader

__all__ = [
    "Apply",
    "Fetch",
    "FetchFailed",
    "PoisonCapReached",
    "Quarantine",
    "StreamConsumer",
    "events_api",
]

Fetch = Callable[[int, int], Awaitable[EventPage]]
"""`fetch(after, limit)`: the producer's events API. Raises CallFailed or FetchFailed when it cannot tell."""

PAGE_MAX_BYTES: Final = 32 * 1024 * 1024  # 1,000 events of 32 kB; ordinary ones have 1 to 2
BATCH_MAX: Final = 200  # a stream gives 232,000 events/s at 200; the effects are the limit
BLOCK_MS: Final = 1000  # less than the client's socket timeout; also how long a stop waits
HEAD_CHECK_S: Final = 3.0  # a lost tail shows no gap: an idle reader asks for the head this often
POLL_S: Final = 0.5  # while Redis is away
RETRY_S: Final = 0.1
RETRY_MAX_S: Final = 5.0

log = get_logger(__name__)


class FetchFailed(Exception):
    """The events API did not give what the consumer asked for."""


class _Stopping(Exception):
    """The process is to end; long repairs end at the next page."""


def events_api(client: HttpClient, token: str, path: str = "/internal/events") -> Fetch:
    """The `fetch` of a consumer: the producer's gap-repair endpoint over HTTP."""

    async def fetch(after: int, limit: int) -> EventPage:
        response = await client.get(
            path,
            params={"after": after, "limit": limit},
            headers={"Authorization": f"Bearer {token}"},
            max_body_bytes=PAGE_MAX_BYTES,
        )
        if response.status != 200:
            raise FetchFailed(f"{client.name} answered {response.status}")
        try:
            page = response.json()
            return EventPage([Event.from_envelope(one) for one in page["data"]], int(page["head"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FetchFailed(f"{client.name} gave no page of events") from error

    return fetch


class StreamConsumer:
    """Applies one stream once, in order, without holes.

    `apply(conn, events)` gets contiguous batches. When it raises something that will not pass by itself,
    the batch is applied one by one; an event that still raises goes to `quarantine`, and the stream flows
    on. Without `quarantine` the consumer stays where it is and tries again.

    `prepare()` runs each time the lease is taken, before anything is read; what it raises counts as a lost database
    or ends the process.

    `gather_s` is a pause after each batch that was not full, in which the next one gathers. What a batch costs hardly
    depends on how many events are in it; an event that comes alone waits for nothing.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        redis: Redis,
        stream: str,
        name: str,
        cursor_table: Table,
        apply: Apply,
        fetch: Fetch,
        *,
        quarantine: Quarantine | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        batch_max: int = BATCH_MAX,
        head_check_s: float = HEAD_CHECK_S,
        block_ms: int = BLOCK_MS,
        gather_s: float = 0.0,
    ) -> None:
        self._engine = engine
        self._stream = stream
        self._name = name
        self._fetch = fetch
        self._prepare = prepare
        self._head_check_s = head_check_s
        self._batch_max = batch_max
        self._gather_s = gather_s
        self._reader = StreamReader(redis, stream, name, batch_max=batch_max, block_ms=block_ms)
        self._once = ApplyOnce(engine, cursor_table, name, stream, apply, quarantine, batch_max)
        self._stop = asyncio.Event()
        self._head = 0
        self._checked_head_at_s = float("-inf")

    @property
    def position(self) -> int:
        """Highest contiguous position applied, as far as this process knows."""
        return self._once.position

    @property
    def lag(self) -> int:
        """Positions behind the highest one seen."""
        return max(0, self._head - self.position)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, through restarts of Postgres, Redis and the producer."""
        self._stop = stop
        while not stop.is_set():
            try:
                async with lease.held(self._engine, f"consumer {self._name} {self._stream}", stop) as held:
                    if held is not None:
                        self._forget()
                        if self._prepare is not None:
                            await self._prepare()
                        await self._lead(held)
            except _Stopping:
                return
            except (SQLAlchemyError, OSError) as error:
                log.warning("consumer lost the database", **self._labels, error=repr(error))
                await sleep_unless(stop, RETRY_S)

    async def _lead(self, held: lease.Lease) -> None:
        """Consume while the lease lasts; a lost database is raised, for the lease is on it too."""
        failures = 0
        while not self._stop.is_set():
            await held.still_held()
            try:
                applied = await self.run_once()
                failures = 0
                if self._gather_s and 0 < applied < self._batch_max:
                    await sleep_unless(self._stop, self._gather_s)
            except (CallFailed, FetchFailed, NotApplied) as error:
                failures += 1
                self._forget()
                log.warning("consumer waits", **self._labels, error=repr(error), failures=failures)
                pause_s = min(RETRY_MAX_S, RETRY_S * 2 ** min(failures, 10))
                await sleep_unless(self._stop, random.uniform(pause_s / 2, pause_s))

    def _forget(self) -> None:
        """After any failure the database says where we are, and unacknowledged entries are read again."""
        self._once.forget()
        self._reader.forget()

    @property
    def _labels(self) -> dict[str, str]:
        return {"stream": self._stream, "consumer": self._name}

    async def run_once(self) -> int:
        """One read and what follows from it; returns how many events were applied. Waits up to `block_ms`."""
        before = await self._once.read_cursor()
        try:
            if self._reader.is_away:
                await self._catch_up()
                await sleep_unless(self._stop, POLL_S)
            else:
                await self._consume()
        except (RedisError, OSError) as error:  # a timeout is an OSError
            self._reader.lost(error)  # the next round reads the API
        finally:
            telemetry.stream_lag.labels(self._stream, self._name).set(self.lag)
        return self.position - before

    async def _consume(self) -> None:
        """Read from the stream; when there is nothing, compare with the head now and then."""
        try:
            entries = await self._reader.read()
        except NoGroup:
            await self._reader.make_group()
            await sleep_unless(self._stop, RETRY_S)  # a flush may not be over yet
            await self._catch_up()
            return
        if entries:
            await self._settle(entries)
        if self._is_head_check_due():
            await (self._look_ahead() if entries else self._catch_up())

    def _is_head_check_due(self) -> bool:
        return time.monotonic() - self._checked_head_at_s >= self._head_check_s

    async def _look_ahead(self) -> None:
        """While events flow, learn now and then how far the stream is ahead: that is the lag to show."""
        self._checked_head_at_s = time.monotonic()
        self._head = max(self._head, await self._reader.last_position())

    async def _settle(self, entries: Sequence[Entry]) -> None:
        """Apply what is new in these entries, gaps filled, then acknowledge them all."""
        events = {entry.event.position or 0: entry.event for entry in entries if entry.event is not None}
        self._head = max(self._head, *events, 0)
        await self._apply_all([events[position] for position in sorted(events)])
        await self._reader.acknowledge(entries)

    async def _apply_all(self, events: Sequence[Event]) -> None:
        """Apply events sorted by position: drop what is seen, fill each gap before what follows it."""
        while waiting := [event for event in events if (event.position or 0) > self.position]:
            first = waiting[0].position or 0
            if first > self.position + 1:
                await self._repair(first)
            else:
                await self._once.apply(_contiguous(waiting))

    async def _repair(self, until: int) -> None:
        """Fetch and apply what is missing below `until`, one page of it."""
        before = self.position
        if not await self._apply_page(min(until - 1 - before, PAGE_MAX)):
            raise FetchFailed(f"positions {before + 1} to {until - 1} are missing and the API has none")
        log.info("gap filled", **self._labels, first=before + 1, last=self.position)

    async def _catch_up(self) -> None:
        """Compare with the producer's head, and apply what the stream did not bring."""
        self._checked_head_at_s = time.monotonic()
        while await self._apply_page(PAGE_MAX) and self.position < self._head:
            pass

    async def _apply_page(self, limit: int) -> int:
        """Apply one page from the events API, right after the cursor; returns how many events it had.

        A page that does not begin there, or has a hole, is not believed.
        """
        if self._stop.is_set():
            raise _Stopping
        page = await self._fetch(self.position, limit)
        self._head = max(self._head, page.head)
        for offset, event in enumerate(page.events, start=1):
            if event.position != self.position + offset:
                raise FetchFailed(f"the API skips position {self.position + offset}")
        await self._once.apply(page.events)
        telemetry.stream_gap_repaired_total.labels(self._stream, self._name).inc(len(page.events))
        return len(page.events)


def _contiguous(events: Sequence[Event]) -> list[Event]:
    """The leading events whose positions follow one another."""
    run = [events[0]]
    for event in events[1:]:
        if event.position != (run[-1].position or 0) + 1:
            break
        run.append(event)
    return run
