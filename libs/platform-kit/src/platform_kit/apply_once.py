"""The database side of a consumer: effects and cursor move in one transaction, and a poison event is set
aside.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_kit import inbox, telemetry
from platform_kit.db import sqlstate
from platform_kit.events import Event
from platform_kit.http import CallFailed
from platform_kit.logging import get_logger

Apply = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]
"""Applies events, in order, on the connection given; may raise. No network calls but to that connection."""
Quarantine = Callable[[AsyncConnection, Event, Exception], Awaitable[None]]
"""Keeps an event that cannot be applied, in the transaction that moves the cursor past it."""

POISON_MAX: Final = 10  # a bad deploy should park ten events, not a day of traffic ...
POISON_WINDOW_S: Final = 60.0  # ... in this time
TRANSIENT_STATES: Final = ("08", "40", "53", "55", "57", "58")  # SQLSTATE classes that pass by themselves

log = get_logger(__name__)


class NotApplied(Exception):
    """Events were not applied, for a reason that may pass: try again."""


class PoisonCapReached(NotApplied):
    """Too many events could not be applied: something is wrong with this consumer, not with the events."""


class _Overtaken(Exception):
    """Another reader has moved the cursor."""


class ApplyOnce:
    """One consumer's cursor on one stream, and the only way to move it. All methods raise SQLAlchemyError
    or OSError when the database is away while the cursor is read.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        cursor_table: Table,
        consumer: str,
        stream: str,
        apply: Apply,
        quarantine: Quarantine | None,
        batch_max: int,
    ) -> None:
        self._engine = engine
        self._cursor_table = cursor_table
        self._consumer = consumer
        self._stream = stream
        self._apply = apply
        self._quarantine = quarantine
        self._batch_max = batch_max
        self._cursor: int | None = None
        self._poisoned_at_s: list[float] = []

    @property
    def position(self) -> int:
        """Highest contiguous position applied, as far as this process knows."""
        return self._cursor or 0

    async def read_cursor(self) -> int:
        """Where we are; asks the database only when something went wrong since the last time."""
        if self._cursor is None:
            async with self._engine.begin() as conn:
                self._cursor = await inbox.read_cursor(conn, self._cursor_table, self._consumer, self._stream)
        return self._cursor

    def forget(self) -> None:
        """After a failure only the database knows where we are (a lost COMMIT may have happened)."""
        self._cursor = None

    async def apply(self, events: Sequence[Event]) -> None:
        """Apply a contiguous run that starts right after the cursor, in slices of `batch_max`.

        An event that raises what will not pass by itself goes to `quarantine`. Raises NotApplied.
        """
        for start in range(0, len(events), self._batch_max):
            piece = events[start : start + self._batch_max]
            try:
                await self._commit(piece, self._apply)
            except _Overtaken:
                raise NotApplied("another reader has moved the cursor") from None
            except Exception as error:
                if is_transient(error):
                    raise NotApplied(repr(error)) from error
                await self._isolate(piece, error)

    async def _commit(self, events: Sequence[Event], apply: Apply) -> None:
        """Effects and cursor in one transaction; the cursor first, so that a second reader waits on its
        row.
        """
        last = events[-1].position or 0
        links = [event.traceparent for event in events if event.traceparent] if telemetry.is_tracing() else []
        parent = events[0].traceparent if len(events) == 1 else None
        with telemetry.span(f"consume {self._stream}", "consumer", traceparent=parent, links=links):
            async with self._engine.begin() as conn:
                names = (conn, self._cursor_table, self._consumer, self._stream)
                if not await inbox.move_cursor(*names, seen=self.position, to=last):
                    raise _Overtaken
                await apply(conn, events)
        self._cursor = last
        outcome = "applied" if apply is self._apply else "quarantined"
        telemetry.stream_events_total.labels(self._stream, self._consumer, outcome).inc(len(events))

    async def _isolate(self, events: Sequence[Event], error: Exception) -> None:
        """Find the event that cannot be applied by applying one at a time; let the others through."""
        log.warning("batch not applicable, taking it one by one", stream=self._stream, error=repr(error))
        for event in events:
            try:
                await self._commit([event], self._apply)
            except _Overtaken:
                raise NotApplied("another reader has moved the cursor") from None
            except Exception as refusal:
                if is_transient(refusal) or self._quarantine is None:
                    raise NotApplied(repr(refusal)) from refusal
                await self._set_aside(event, refusal, self._quarantine)

    async def _set_aside(self, event: Event, error: Exception, keep: Quarantine) -> None:
        self._count_poison()

        async def quarantine(conn: AsyncConnection, events: Sequence[Event]) -> None:
            await keep(conn, events[0], error)

        await self._commit([event], quarantine)
        labels = {"stream": self._stream, "consumer": self._consumer}
        log.error("event set aside", **labels, event_id=event.id, position=event.position, error=repr(error))

    def _count_poison(self) -> None:
        """Raises PoisonCapReached when this would be one too many."""
        now_s = time.monotonic()
        self._poisoned_at_s = [at for at in self._poisoned_at_s if now_s - at < POISON_WINDOW_S]
        is_capped = len(self._poisoned_at_s) >= POISON_MAX
        telemetry.stream_stopped.labels(self._stream, self._consumer).set(int(is_capped))
        if is_capped:
            raise PoisonCapReached(f"{POISON_MAX} events in {POISON_WINDOW_S:.0f} s could not be applied")
        self._poisoned_at_s.append(now_s)


def is_transient(error: BaseException) -> bool:
    """Whether the same events may well be applied later: connections, locks, resources; not what an event
    says.
    """
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        return error.connection_invalidated or state is None or state[:2] in TRANSIENT_STATES
    return isinstance(error, OSError | TimeoutError | PoolTimeoutError | CallFailed)
