"""Shed the cheap first: who may enter a process that is falling behind, and a quick refusal for everyone else.

A process that is behind makes what is ready wait: for its event loop, or for a connection to its database. Both waits
are looked at some fifteen times a second, and the least of three looks in a row counts (as in CoDel), so that one pause
is no overload. While it is above its bound, the limit of requests at work shrinks; while it is not, the limit comes
back, and beyond that grows where it is used. Each priority may fill its share of the limit together with what is more
important than it, so that reports are shed first, and no report ever keeps a payment out.
Requests that wait for something else (a slow channel) are not behind, and the limit grows to hold them.

A refusal comes before the body is read and before anybody is authenticated: nothing was claimed, nothing was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_kit import canonical, telemetry
from platform_kit.problems import Unavailable, render


class Priority(IntEnum):
    """The lower, the later it is shed."""

    PAY = 0
    REFUND = 1
    READ = 2
    LIST = 3
    REPORT = 4


PriorityOf = Callable[[str, str], Priority | None]
"""(method, path) -> its priority; None = never shed, and not counted: health."""


@dataclass(frozen=True, slots=True)
class Shedding:
    """What a service says of it. `refuse` makes the answer, for paths whose clients expect another form; `take` takes
    and gives back what its requests queue for, given the process's dependencies."""

    priority_of: PriorityOf
    refuse: Callable[[Scope], Response] | None = None
    take: Callable[[Any], Awaitable[None]] | None = None


SHARES: Final = (1.0, 0.9, 0.75, 0.5, 0.25)
"""Of the limit, by priority. What may never be had by reports is room for payments."""
LOOK_EVERY_S: Final = 0.02
LOOKS: Final = 3  # of which the least counts
WAIT_S: Final = 0.05  # for a connection; beyond it, who needs none (a refusal) is served better than who does
WAIT_LOOK_S: Final = 0.1
LIMIT_FIRST: Final = 256
LIMIT_LEAST: Final = 12  # three reports at once, when nobody pays
PAYMENTS_LEAST: Final = 96  # that many at once are served, however slow the machine; more would wait too long
LIMIT_MOST: Final = 4096
SHRINK: Final = 0.5  # quickly, and back slowly: the other way round the lag comes in waves (ADR 79)
GROW: Final = 1.1
USED: Final = (
    0.2  # of the limit, below which it says nothing; less than the least share, or reports could stop it
)
RETRY_AFTER_S: Final = 1


class Overloaded(Unavailable):
    code, title = "overloaded", "The service has more to do than it can"

    def __init__(self) -> None:
        super().__init__("Nothing was done; send it again, with the same idempotency key.", RETRY_AFTER_S)


class AdaptiveLimit:
    """How many requests may be at work in this process; belongs to one event loop."""

    def __init__(self) -> None:
        self._by_priority = [0] * len(Priority)
        self._at_work = self._most_at_work = 0
        self._room: list[int] = []
        self.limit = 0
        self._set(LIMIT_FIRST)

    @property
    def at_work(self) -> int:
        return self._at_work

    def admits(self, priority: Priority) -> bool:
        """Whether one more of this priority may enter; `enter` then. What is less important does not count."""
        return sum(self._by_priority[: priority + 1]) < self._room[priority]

    def enter(self, priority: Priority) -> None:
        self._by_priority[priority] += 1
        self._at_work += 1
        if self._at_work > self._most_at_work:
            self._most_at_work = self._at_work

    def leave(self, priority: Priority) -> None:
        self._by_priority[priority] -= 1
        self._at_work -= 1

    def learn(self, *, is_behind: bool) -> None:
        """What three looks have shown."""
        if is_behind:
            # From what was at work, not from what might have been: a limit of thousands would take seconds to bite.
            self._set(int(min(self.limit, self._most_at_work) * SHRINK))
        elif self.limit < LIMIT_FIRST or self._most_at_work >= self.limit * USED:
            self._set(int(self.limit * GROW) + 1)
        self._most_at_work = self._at_work

    def _set(self, limit: int) -> None:
        self.limit = min(max(limit, LIMIT_LEAST), LIMIT_MOST)
        self._room = [int(self.limit * share) for share in SHARES]
        self._room[Priority.PAY] = max(self.limit, PAYMENTS_LEAST)
        telemetry.concurrency_limit.set(self.limit)


class Queue:
    """What requests wait in besides the loop; a look is a place in it, taken and given back."""

    def __init__(self, take: Callable[[], Awaitable[None]]) -> None:
        self._take = take
        self._taking: asyncio.Task[None] | None = None
        self._since = 0.0

    async def wait_s(self) -> float:
        """So long it took, or has taken so far: a look is never given up, for that would cost a connection. What is
        wrong with the database is not said here."""
        if self._taking is None:
            self._since, self._taking = time.monotonic(), asyncio.ensure_future(self._quietly())
        await asyncio.wait({self._taking}, timeout=WAIT_LOOK_S)
        if self._taking.done():
            self._taking = None
        return time.monotonic() - self._since

    def close(self) -> None:
        if self._taking is not None:
            self._taking.cancel()

    async def _quietly(self) -> None:
        with contextlib.suppress(Exception):
            await self._take()


async def _lag_s() -> float:
    """How much later than asked for the loop came back."""
    asked_for = time.monotonic() + LOOK_EVERY_S
    await asyncio.sleep(LOOK_EVERY_S)
    return time.monotonic() - asked_for


async def _watch(limit: AdaptiveLimit, lag_s: float, queue: Queue | None) -> None:
    while True:
        lags, waits = [], []
        for _ in range(LOOKS):
            lags.append(await _lag_s())
            waits.append(await queue.wait_s() if queue and limit.at_work else 0.0)
        limit.learn(is_behind=min(lags) > lag_s or min(waits) > WAIT_S)


class SheddingMiddleware:
    """Pure ASGI: inside the canonical line, which counts it, and before the body."""

    def __init__(self, app: ASGIApp, limit: AdaptiveLimit, shedding: Shedding) -> None:
        self._app, self._limit, self._priority_of = app, limit, shedding.priority_of
        self._refuse = shedding.refuse or as_problem
        self._shed = [telemetry.requests_shed_total.labels(one.name.lower()) for one in Priority]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        priority = self._priority_of(scope["method"], scope["path"])
        if priority is None:
            await self._app(scope, receive, send)
            return
        limit = self._limit
        if not limit.admits(priority):
            self._shed[priority].inc()
            canonical.add(shed=priority.name.lower())
            await self._refuse(scope)(scope, receive, send)
            return
        limit.enter(priority)
        try:
            await self._app(scope, receive, send)
        finally:
            limit.leave(priority)


def as_problem(scope: Scope) -> Response:
    return render(Overloaded(), Request(scope))


@contextlib.contextmanager
def watching(
    limit: AdaptiveLimit, lag_s: float, take: Callable[[], Awaitable[None]] | None = None
) -> Iterator[None]:
    """Look while the block runs. `lag_s` is what the loop may be behind; `take` is a place in the other queue."""
    queue = Queue(take) if take else None
    task = asyncio.create_task(_watch(limit, lag_s, queue))
    try:
        yield
    finally:
        task.cancel()
        if queue:
            queue.close()
