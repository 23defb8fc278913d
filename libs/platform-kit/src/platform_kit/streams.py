"""Events in: read a stream, see gaps by arithmetic, fill them from the events API, apply each event once.

Redis is transport: entries may be lost, repeated, or the whole stream be gone. What is true is the producer's
positions and this consumer's cursor, which moves in the transaction that applies (inbox.py). Whatever
happens to Redis, the consumer ends up contiguous; while Redis is away it reads the API instead.

The cursor belongs to (consumer, stream), so one process reads at a time, under a lease; a standby waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_kit import inbox, lease, telemetry
from platform_kit.db import sqlstate
from platform_kit.http import CallFailed, HttpClient
from platform_kit.logging import get_logger
from platform_kit.outbox import PAGE_MAX, Event, EventPage
from platform_kit.process import sleep_unless

Apply = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]
"""Applies events, in order, on the connection given; may raise. No network calls but to that connection."""
Fetch = Callable[[int, int], Awaitable[EventPage]]
"""`fetch(after, limit)`: the producer's events API. Raises CallFailed or FetchFailed when it cannot tell."""
Quarantine = Callable[[AsyncConnection, Event, Exception], Awaitable[None]]
"""Keeps an event that cannot be applied, in the transaction that moves the cursor past it."""

PAGE_MAX_BYTES: Final = 32 * 1024 * 1024  # 1,000 events of 32 kB; ordinary ones have 1 to 2
BATCH_MAX: Final = (
    200  # 232,000 events/s are read and acknowledged at 200; the effects are the limit, not Redis
)
BLOCK_MS: Final = 1000  # less than the client's socket timeout; also how long a stop waits
HEAD_CHECK_S: Final = 3.0  # a lost tail shows no gap: an idle reader asks for the head this often
POLL_S: Final = 0.5  # while Redis is away
RETRY_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
POISON_MAX: Final = 10  # a bad deploy should park ten events, not a day of traffic ...
POISON_WINDOW_S: Final = 60.0  # ... in this time
TRANSIENT_STATES: Final = ("08", "40", "53", "55", "57", "58")  # SQLSTATE classes that pass by themselves

log = get_logger(__name__)


class FetchFailed(Exception):
    """The events API did not give what the consumer asked for."""


class PoisonCapReached(Exception):
    """Too many events could not be applied: something is wrong with this consumer, not with the events."""


class _Overtaken(Exception):
    """Another reader has moved the cursor."""


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
        page = response.json()
        return EventPage([Event.from_envelope(one) for one in page["data"]], int(page["head"]))

    return fetch


class StreamConsumer:
    """Applies one stream once, in order, without holes.

    `apply(conn, events)` gets contiguous batches. When it raises something that will not pass by itself,
    the batch is applied one by one; an event that still raises goes to `quarantine`, and the stream flows
    on. Without `quarantine` the consumer stays where it is and tries again.
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
        batch_max: int = BATCH_MAX,
        head_check_s: float = HEAD_CHECK_S,
        block_ms: int = BLOCK_MS,
    ) -> None:
        timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
        if timeout_s is not None and block_ms >= timeout_s * 1000:
            raise ValueError(f"a read that waits {block_ms} ms needs a socket timeout above {timeout_s} s")
        self._engine = engine
        self._redis = redis
        self._stream = stream
        self._name = name
        self._cursor_table = cursor_table
        self._apply = apply
        self._fetch = fetch
        self._quarantine = quarantine
        self._batch_max = batch_max
        self._head_check_s = head_check_s
        self._block_ms = block_ms
        self._cursor: int | None = None  # None = read it again from the database
        self._head = 0
        self._has_unread_pending = True  # own entries delivered earlier and not acknowledged
        self._checked_head_at_s = float("-inf")
        self._redis_after_s = 0.0
        self._redis_failures = 0
        self._poisoned_at_s: list[float] = []

    @property
    def position(self) -> int:
        """Highest contiguous position applied, as far as this process knows."""
        return self._cursor or 0

    @property
    def lag(self) -> int:
        """Positions behind the highest one seen."""
        return max(0, self._head - self.position)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, through restarts of Postgres, Redis and the producer."""
        while not stop.is_set():
            try:
                async with lease.held(self._engine, f"consumer {self._name} {self._stream}", stop) as held:
                    if held is not None:
                        self._forget()
                        await self._lead(held, stop)
            except (SQLAlchemyError, OSError) as error:
                log.warning("consumer lost the database", **self._labels, error=repr(error))
                await sleep_unless(stop, RETRY_S)

    async def _lead(self, held: lease.Lease, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            await held.still_held()
            try:
                await self.run_once()
                failures = 0
            except (SQLAlchemyError, OSError):
                raise  # the lease is on the same database: take it anew
            except (CallFailed, FetchFailed, PoisonCapReached, _Unapplied) as error:
                failures += 1
                self._forget()
                log.warning("consumer waits", **self._labels, error=repr(error), failures=failures)
                pause_s = min(RETRY_MAX_S, RETRY_S * 2 ** min(failures, 10))
                await sleep_unless(stop, random.uniform(pause_s / 2, pause_s))

    def _forget(self) -> None:
        """After any failure the database says where we are, and unacknowledged entries are read again."""
        self._cursor = None
        self._has_unread_pending = True

    @property
    def _labels(self) -> dict[str, str]:
        return {"stream": self._stream, "consumer": self._name}

    async def run_once(self) -> int:
        """One read and what follows from it; returns how many events were applied. Waits up to `block_ms`."""
        if self._cursor is None:
            async with self._engine.begin() as conn:
                self._cursor = await inbox.read_cursor(conn, self._cursor_table, self._name, self._stream)
        before = self._cursor
        try:
            if time.monotonic() < self._redis_after_s:
                await self._catch_up_by_api()
            else:
                await self._consume()
                self._redis_failures = 0
        except (RedisError, OSError, TimeoutError) as error:
            self._redis_lost(error)  # the next round reads the API
        finally:
            telemetry.stream_lag.labels(self._stream, self._name).set(self.lag)
        return self.position - before

    async def _consume(self) -> None:
        """Read from the stream; when there is nothing, compare with the head now and then."""
        entries = await self._read()
        if entries:
            await self._settle(entries)
            await self._look_ahead()
        elif time.monotonic() - self._checked_head_at_s >= self._head_check_s:
            await self._catch_up()

    async def _look_ahead(self) -> None:
        """While events flow, learn now and then how far the stream is ahead: that is the lag to show."""
        if time.monotonic() - self._checked_head_at_s < self._head_check_s:
            return
        self._checked_head_at_s = time.monotonic()
        last = await self._redis.xrevrange(self._stream, count=1)
        if last:
            fields: Any = last[0][1] or {}
            self._head = max(self._head, int(fields.get(b"position", 0)))

    async def _settle(self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> None:
        """Apply what is new in these entries, gaps filled, then acknowledge them all."""
        events = {event.position: event for event in map(self._parse, entries) if event is not None}
        for position in sorted(p for p in events if p is not None):
            self._head = max(self._head, position)
        await self._apply_all([events[position] for position in sorted(p for p in events if p is not None)])
        await self._redis.xack(self._stream, self._name, *[entry_id for entry_id, _ in entries])

    def _parse(self, entry: tuple[bytes, dict[bytes, bytes]]) -> Event | None:
        """The event of an entry; None for what is no envelope: the gap that it leaves is filled from the
        API.
        """
        try:
            return Event.from_envelope(orjson.loads(entry[1][b"event"]))
        except (KeyError, TypeError, ValueError):
            log.warning("entry is no event", **self._labels, entry_id=entry[0].decode("ascii", "replace"))
            return None

    async def _apply_all(self, events: Sequence[Event]) -> None:
        """Apply events sorted by position: drop what is seen, fill each gap before what follows it."""
        waiting = list(events)
        while True:
            waiting = [event for event in waiting if (event.position or 0) > self.position]
            if not waiting:
                return
            first = waiting[0].position or 0
            if first > self.position + 1:
                await self._repair(first)
                continue
            run = _contiguous(waiting)
            await self._apply_run(run)

    async def _repair(self, until: int) -> None:
        """Fetch and apply what is missing below `until`."""
        missing = until - 1 - self.position
        page = await self._fetch_page(min(missing, PAGE_MAX))
        if not page.events:
            raise FetchFailed(
                f"positions {self.position + 1} to {until - 1} are missing and the API has none"
            )
        before = self.position
        await self._apply_run(list(page.events))
        telemetry.stream_gap_repaired_total.labels(self._stream, self._name).inc(self.position - before)
        log.info("gap filled", **self._labels, first=before + 1, last=self.position)

    async def _fetch_page(self, limit: int) -> EventPage:
        """A page right after the cursor, checked: it must begin there and have no holes."""
        page = await self._fetch(self.position, limit)
        self._head = max(self._head, page.head)
        for offset, event in enumerate(page.events, start=1):
            if event.position != self.position + offset:
                raise FetchFailed(f"the API skips position {self.position + offset}")
        return page

    async def _catch_up(self) -> None:
        """Compare with the producer's head, and apply what the stream did not bring."""
        self._checked_head_at_s = time.monotonic()
        while True:
            page = await self._fetch_page(PAGE_MAX)
            if not page.events:
                return
            await self._apply_run(list(page.events))
            telemetry.stream_gap_repaired_total.labels(self._stream, self._name).inc(len(page.events))
            if self.position >= page.head:
                return

    async def _catch_up_by_api(self) -> None:
        """While Redis is away events still flow, some slower."""
        await self._catch_up()
        await asyncio.sleep(POLL_S)

    async def _apply_run(self, events: Sequence[Event]) -> None:
        """Apply a contiguous run that starts right after the cursor, in slices."""
        for start in range(0, len(events), self._batch_max):
            piece = events[start : start + self._batch_max]
            try:
                await self._commit(piece, self._apply)
            except _Overtaken:
                raise FetchFailed("another reader has moved the cursor") from None
            except Exception as error:
                if is_transient(error):
                    raise _Unapplied(repr(error)) from error
                await self._isolate(piece, error)

    async def _commit(self, events: Sequence[Event], apply: Apply) -> None:
        """Effects and cursor in one transaction."""
        last = events[-1].position or 0
        links = [event.traceparent for event in events if event.traceparent] if telemetry.is_tracing() else []
        parent = events[0].traceparent if len(events) == 1 else None
        with telemetry.span(f"consume {self._stream}", "consumer", traceparent=parent, links=links):
            async with self._engine.begin() as conn:
                moved = await inbox.move_cursor(
                    conn, self._cursor_table, self._name, self._stream, seen=self.position, to=last
                )
                if not moved:
                    raise _Overtaken
                await apply(conn, events)
        self._cursor = last
        telemetry.stream_events_total.labels(self._stream, self._name, "applied").inc(len(events))

    async def _isolate(self, events: Sequence[Event], error: Exception) -> None:
        """Find the event that cannot be applied by applying one at a time; set it aside, let the others
        through.
        """
        log.warning("batch not applicable, taking it one by one", **self._labels, error=repr(error))
        for event in events:
            try:
                await self._commit([event], self._apply)
            except _Overtaken:
                raise FetchFailed("another reader has moved the cursor") from None
            except Exception as refusal:
                if is_transient(refusal) or self._quarantine is None:
                    raise _Unapplied(repr(refusal)) from refusal
                await self._set_aside(event, refusal)

    async def _set_aside(self, event: Event, error: Exception) -> None:
        assert self._quarantine is not None
        keep = self._quarantine
        now_s = time.monotonic()
        self._poisoned_at_s = [at for at in self._poisoned_at_s if now_s - at < POISON_WINDOW_S]
        stopped = telemetry.stream_stopped.labels(self._stream, self._name)
        if len(self._poisoned_at_s) >= POISON_MAX:
            stopped.set(1)
            raise PoisonCapReached(f"{POISON_MAX} events in {POISON_WINDOW_S:.0f} s could not be applied")
        stopped.set(0)

        async def quarantine(conn: AsyncConnection, events: Sequence[Event]) -> None:
            await keep(conn, events[0], error)

        await self._commit([event], quarantine)
        self._poisoned_at_s.append(now_s)
        telemetry.stream_events_total.labels(self._stream, self._name, "quarantined").inc()
        log.error(
            "event set aside", **self._labels, event_id=event.id, position=event.position, error=repr(error)
        )

    async def _read(self) -> Sequence[tuple[bytes, dict[bytes, bytes]]]:
        """Our own unacknowledged entries first, then new ones. Makes the group when there is none."""
        try:
            if self._has_unread_pending:
                entries = await self._read_pending()
                if entries:
                    return entries
                self._has_unread_pending = False
            reply = await self._redis.xreadgroup(
                self._name, self._name, {self._stream: ">"}, count=self._batch_max, block=self._block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._make_group()
            return []
        return _entries(reply)

    async def _read_pending(self) -> Sequence[tuple[bytes, dict[bytes, bytes]]]:
        """Entries that were delivered to us, or to a reader of an earlier life, and never acknowledged."""
        _, claimed, *_ = await self._redis.xautoclaim(
            self._stream, self._name, self._name, min_idle_time=0, start_id="0-0", count=self._batch_max
        )
        entries = [(entry_id, fields) for entry_id, fields in claimed if fields]
        return entries

    async def _make_group(self) -> None:
        """The stream or the group is gone (flush, failover): make it anew, and let the API say what is
        missing.
        """
        log.warning("no group, making it", **self._labels)
        try:
            await self._redis.xgroup_create(self._stream, self._name, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_unread_pending = False
        await asyncio.sleep(RETRY_S)
        await self._catch_up()

    def _redis_lost(self, error: Exception) -> None:
        self._redis_failures += 1
        if self._redis_failures in {1, 10} or self._redis_failures % 100 == 0:
            log.warning("stream not reachable, reading the events API", **self._labels, error=repr(error))
        self._has_unread_pending = True
        self._redis_after_s = time.monotonic() + random.uniform(0.5, 1.0) * min(
            RETRY_MAX_S, RETRY_S * 2 ** min(self._redis_failures, 10)
        )


class _Unapplied(Exception):
    """A batch that failed for a reason that may pass."""


def _contiguous(events: Sequence[Event]) -> list[Event]:
    """The leading events whose positions follow one another."""
    run = [events[0]]
    for event in events[1:]:
        if event.position != (run[-1].position or 0) + 1:
            break
        run.append(event)
    return run


def _entries(reply: Any) -> Sequence[tuple[bytes, dict[bytes, bytes]]]:
    """RESP2: [[stream, [(id, {field: value}), ...]]]. An entry that was trimmed while pending has no
    fields.
    """
    if not reply:
        return []
    return [(entry_id, fields or {}) for entry_id, fields in reply[0][1]]


def is_transient(error: BaseException) -> bool:
    """Whether the same batch may well succeed later: connections, locks, resources - not what the event
    says.
    """
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        return error.connection_invalidated or state is None or state[:2] in TRANSIENT_STATES
    return isinstance(error, OSError | TimeoutError | PoolTimeoutError | CallFailed)
