"""Events out: appended in the business transaction, numbered after its commit, then put on a Redis stream.

Why numbers and not ids: sequence order is not commit order, and a reader of `id > last` loses rows for ever
(1,007 of 2,000 with 8 writers). Here one relay at a time takes committed rows *by state* (no position yet)
and numbers them from a counter ROW under its lock: positions are dense, unique and never reused, whatever
rolls back. A consumer sees a gap by arithmetic and fills it from the events API, so Redis is transport only
and may lose everything.

Within a batch rows are numbered in insertion order (`seq`), not by id: two events of one aggregate are
written under that aggregate's row lock, so `seq` keeps their order even when the clocks of two writers
differ.
"""

# ruff: noqa: S608 - table names are composed into the statements; they are ours, never input

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Self

import orjson
from fastapi import APIRouter, Depends, Query, Response
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import TextClause

from platform_kit import lease, telemetry
from platform_kit.clock import isoformat
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless

PAGE_MAX: Final = 1000  # events in one page of the API, about 1.5 MB
PUBLISH_MAX: Final = 500  # XADDs in one pipeline: 29,200 events/s at 500 against 22,500 at 100
BUSY_POLL_S: Final = 0.02  # while events flow: lets a batch gather, adds at most this to an event's way
IDLE_POLL_S: Final = (
    0.2  # a quiet relay asks five times a second, one index probe each. NOTIFY would be quicker
)
# by 100 ms on average, but it takes a database-wide lock at every commit that notifies, on the money path.
FLOOR_STEP_S: Final = 2.0  # our transactions commit in milliseconds; one that takes 2 to 4 s waits for ...
FULL_LOOK_S: Final = 5.0  # ... a look at everything, this often
RETRY_MAX_S: Final = 2.0
TRIM_EVERY_S: Final = 5.0
KEPT_MAX: Final = 20_000  # entries kept for a consumer that is away: 40 MB of the 256 that Redis has here
KEPT_WHEN_FULL: Final = 1_000  # when Redis refuses writes for lack of memory

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """A fact in the past tense. `data` is JSON-ready; `type` ends in its version: `payment.captured.v1`."""

    id: str
    type: str
    aggregate_id: str
    data: Mapping[str, Any]
    occurred_at: datetime
    merchant_id: str | None = None
    traceparent: str | None = field(default_factory=telemetry.current_traceparent)
    position: int | None = None

    def envelope(self) -> dict[str, Any]:
        """The JSON object that streams, the events API and webhooks carry."""
        return {
            "id": self.id,
            "type": self.type,
            "position": self.position,
            "occurred_at": isoformat(self.occurred_at),
            "aggregate_id": self.aggregate_id,
            "merchant_id": self.merchant_id,
            "traceparent": self.traceparent,
            "data": dict(self.data),
        }

    @classmethod
    def from_envelope(cls, envelope: Mapping[str, Any]) -> Self:
        """The event of an envelope. Raises KeyError, TypeError or ValueError when it is none."""
        return cls(
            id=envelope["id"],
            type=envelope["type"],
            aggregate_id=envelope["aggregate_id"],
            data=envelope["data"],
            occurred_at=datetime.fromisoformat(envelope["occurred_at"]),
            merchant_id=envelope.get("merchant_id"),
            traceparent=envelope.get("traceparent"),
            position=int(envelope["position"]),
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in position order, and the highest position that exists."""

    events: Sequence[Event]
    head: int


@dataclass(frozen=True)
class OutboxTables:
    """The two tables and the statements over them."""

    event: Table
    head: Table

    @cached_property
    def sql(self) -> Mapping[str, TextClause]:
        return _statements(self.event.fullname, self.head.fullname)


def outbox_tables(metadata: MetaData) -> OutboxTables:
    """`outbox_event` and `outbox_head` in the schema of `metadata`.

    Grants: the app role needs INSERT, SELECT and UPDATE (position) on the events, and all but DELETE on the
    head (`grant_statements`). The head's row is made by the relay.
    """
    event = Table(
        "outbox_event",
        metadata,
        Column("id", Text(collation="C"), primary_key=True),
        Column("seq", BigInteger, Identity(always=True), nullable=False, comment="order of insertion"),
        Column("type", Text(collation="C"), nullable=False),
        Column("aggregate_id", Text(collation="C"), nullable=False),
        Column("merchant_id", Text(collation="C")),
        Column("data", JSONB, nullable=False),
        Column("traceparent", Text(collation="C")),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("position", BigInteger, unique=True, comment="dense, in commit order; null until numbered"),
    )
    # What the relay looks for: as small as the backlog, whatever the history.
    Index("outbox_event_unpositioned_idx", event.c.seq, postgresql_where=event.c.position.is_(None))
    head = Table(
        "outbox_head",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
        Column("last_position", BigInteger, nullable=False, server_default=text("0")),
        Column("published_position", BigInteger, nullable=False, server_default=text("0")),
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("published_position <= last_position", name="published"),
    )
    return OutboxTables(event, head)


def grant_statements(tables: OutboxTables, app_role: str) -> list[str]:
    """SQL for a migration: the app role may number an event and nothing else; facts are not edited."""
    event, head = tables.event.fullname, tables.head.fullname
    return [
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {event} FROM {app_role}",
        f"GRANT UPDATE (position) ON {event} TO {app_role}",
        f"REVOKE DELETE, TRUNCATE ON {head} FROM {app_role}",
    ]


def _statements(event: str, head: str) -> Mapping[str, TextClause]:
    """The SQL of the outbox. The names are ours, never input."""
    columns = (
        "id, type, aggregate_id, merchant_id, CAST(data AS text) AS data, traceparent, occurred_at, position"
    )
    sources = {
        # One statement for any number of events; unnest keeps their order, so `seq` follows it.
        "APPEND": f"""
            INSERT INTO {event} (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at)
            SELECT id, type, aggregate_id, merchant_id, CAST(data AS jsonb), traceparent, occurred_at
            FROM unnest(CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:aggregate_ids AS text[]),
                        CAST(:merchant_ids AS text[]), CAST(:data AS text[]), CAST(:traceparents AS text[]),
                        CAST(:occurred AS timestamptz[]))
                 AS e (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at)""",
        "CREATE_HEAD": f"INSERT INTO {head} (id) VALUES (1) ON CONFLICT DO NOTHING",
        "READ_HEAD": f"SELECT last_position, published_position FROM {head} WHERE id = 1",
        # Alone in its statement: the next one's snapshot is then taken under the lock, and sees all that the
        # last numbering committed.
        "LOCK_HEAD": f"SELECT last_position FROM {head} WHERE id = 1 FOR UPDATE",
        "IS_WAITING": f"SELECT EXISTS (SELECT 1 FROM {event} WHERE position IS NULL AND seq > :floor)",
        # Index: outbox_event_unpositioned_idx gives the oldest rows without a sort.
        "ASSIGN": f"""
            WITH waiting AS (
                SELECT id, seq FROM {event}
                WHERE position IS NULL AND seq > :floor ORDER BY seq LIMIT :limit
            ), numbered AS (
                SELECT id, CAST(:last AS bigint) + row_number() OVER (ORDER BY seq) AS position FROM waiting
            ), given AS (
                UPDATE {event} AS e SET position = numbered.position FROM numbered WHERE e.id = numbered.id
                RETURNING e.seq
            ), moved AS (
                UPDATE {head} SET last_position = last_position + (SELECT count(*) FROM given) WHERE id = 1
            )
            SELECT count(*) AS given, coalesce(max(seq), 0) AS last_seq FROM given""",
        # Index: outbox_event_position_key.
        "AFTER": f"SELECT {columns} FROM {event} WHERE position > :after ORDER BY position LIMIT :limit",
        "MARK_PUBLISHED": f"""
            UPDATE {head} SET published_position = GREATEST(published_position, :position) WHERE id = 1""",
    }
    return {name: text(source) for name, source in sources.items()}


async def append(conn: AsyncConnection, tables: OutboxTables, events: Sequence[Event]) -> None:
    """Insert the events in the caller's transaction, with one statement. Raises IntegrityError on a known
    id.
    """
    if not events:
        return
    await conn.execute(
        tables.sql["APPEND"],
        {
            "ids": [event.id for event in events],
            "types": [event.type for event in events],
            "aggregate_ids": [event.aggregate_id for event in events],
            "merchant_ids": [event.merchant_id for event in events],
            "data": [orjson.dumps(event.data).decode() for event in events],
            "traceparents": [event.traceparent for event in events],
            "occurred": [event.occurred_at for event in events],
        },
    )


async def events_after(conn: AsyncConnection, tables: OutboxTables, after: int, limit: int) -> EventPage:
    """Up to `limit` events with a position above `after`, in order: a safe pager, for positions follow
    commits.
    """
    rows, head = await _rows_after(conn, tables, after, limit)
    return EventPage([_event(row) for row in rows], head)


async def _rows_after(
    conn: AsyncConnection, tables: OutboxTables, after: int, limit: int
) -> tuple[Sequence[Any], int]:
    """The head is read first: it may then be behind the rows, never ahead of rows that could not be seen."""
    head = (await conn.execute(tables.sql["READ_HEAD"])).first()
    rows = (await conn.execute(tables.sql["AFTER"], {"after": after, "limit": limit})).all()
    return rows, max(head.last_position if head else 0, rows[-1].position if rows else 0)


def _event(row: Any) -> Event:
    return Event(
        id=row.id,
        type=row.type,
        aggregate_id=row.aggregate_id,
        data=orjson.loads(row.data),
        occurred_at=row.occurred_at,
        merchant_id=row.merchant_id,
        traceparent=row.traceparent,
        position=row.position,
    )


def _envelope(row: Any) -> dict[str, Any]:
    """Like Event.envelope, with the stored JSON passed through as it is."""
    return {
        "id": row.id,
        "type": row.type,
        "position": row.position,
        "occurred_at": isoformat(row.occurred_at),
        "aggregate_id": row.aggregate_id,
        "merchant_id": row.merchant_id,
        "traceparent": row.traceparent,
        "data": orjson.Fragment(row.data),
    }


def events_router(
    get_engine: Callable[..., Any], tables: OutboxTables, require_internal: Callable[..., Any]
) -> APIRouter:
    """GET /internal/events?after=&limit= for consumers that lost something.

    `get_engine` and `require_internal` are FastAPI dependencies: one gives the AsyncEngine, one refuses
    strangers.
    """
    router = APIRouter(tags=["internal"], dependencies=[Depends(require_internal)])

    @router.get("/internal/events")
    async def list_events(
        engine: Any = Depends(get_engine),
        after: int = Query(0, ge=0, lt=2**63),
        limit: int = Query(PAGE_MAX, ge=1, le=PAGE_MAX),
    ) -> Response:
        """Events above a position, in order, and the highest position that exists."""
        async with engine.connect() as conn:
            rows, head = await _rows_after(conn, tables, after, limit)
        body = orjson.dumps({"data": [_envelope(row) for row in rows], "head": head})
        return Response(body, media_type="application/json")

    return router


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
                await sleep_unless(stop, 0.5)

    async def _lead(self, held: lease.Lease, stop: asyncio.Event) -> None:
        pause_s = 0.0
        while not await sleep_unless(stop, pause_s):
            await held.still_held()
            moved = await self.run_once()
            if moved >= self._batch_max:
                pause_s = 0.0
            elif moved:
                pause_s = BUSY_POLL_S
            else:
                pause_s = min(max(pause_s, BUSY_POLL_S) * 2, IDLE_POLL_S)

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
        pause_s = min(RETRY_MAX_S, 0.05 * 2 ** min(self._failures, 10))
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
        async with self._engine.connect() as conn:
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
        async with self._engine.connect() as conn:
            head = (await conn.execute(sql["READ_HEAD"])).first()
            if head is None or head.last_position == head.published_position:
                telemetry.outbox_unpublished.set(0)
                return 0
            rows = (
                await conn.execute(sql["AFTER"], {"after": head.published_position, "limit": self._batch_max})
            ).all()
        pipeline = self._redis.pipeline(transaction=False)
        for row in rows:
            fields: dict[Any, Any] = {"position": row.position, "event": orjson.dumps(_envelope(row))}
            pipeline.xadd(self._stream, fields)
        await pipeline.execute()
        async with self._engine.begin() as conn:
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
