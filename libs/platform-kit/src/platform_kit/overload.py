"""Shed the cheap first: who may enter a process that is falling behind, and a quick refusal for everyone else.

A process that is behind shows it in its event loop: work that is ready waits for its turn. The least of three looks
in a row counts (as in CoDel), so that one pause is no overload. While it is above the target, the limit of
requests at work shrinks; while it is not, the limit comes back, and beyond that grows where it is used. Each priority
may fill its share of the limit, so that reports are shed first and payments last.
Requests that wait for something else (a slow channel) make no lag, and the limit grows to hold them.

A refusal comes before the body is read and before anybody is authenticated: nothing was claimed, nothing was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
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
    """What a service says of it. `refuse` makes the answer, for paths whose clients expect another form."""

    priority_of: PriorityOf
    refuse: Callable[[Scope], Response] | None = None


SHARES: Final = (1.0, 0.9, 0.75, 0.5, 0.25)
"""Of the limit, by priority. What may never be had by reports is room for payments."""
LOOK_EVERY_S: Final = 0.02
LOOKS: Final = 3  # of which the least lag counts
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
    """How many requests may be at work in this process; belongs to one event loop. `lag_s` is what it aims at."""

    def __init__(self, lag_s: float, first: int = LIMIT_FIRST) -> None:
        self._lag_s = lag_s
        self.at_work = 0
        self._most_at_work = 0
        self._room: list[int] = []
        self._set(first)

    def admits(self, priority: Priority) -> bool:
        """Whether one more of this priority may enter; `enter` then."""
        return self.at_work < self._room[priority]

    def enter(self) -> None:
        self.at_work += 1
        if self.at_work > self._most_at_work:
            self._most_at_work = self.at_work

    def leave(self) -> None:
        self.at_work -= 1

    @property
    def limit(self) -> int:
        return self._limit

    def learn(self, lag_s: float) -> None:
        """The loop was behind by at least this much for a while."""
        if lag_s > self._lag_s:
            # From what was at work, not from what might have been: a limit of thousands would take seconds to bite.
            self._set(int(min(self._limit, self._most_at_work) * SHRINK))
        elif self._limit < LIMIT_FIRST or self._most_at_work >= self._limit * USED:
            self._set(int(self._limit * GROW) + 1)
        self._most_at_work = self.at_work

    def _set(self, limit: int) -> None:
        limit = min(max(limit, LIMIT_LEAST), LIMIT_MOST)
        self._limit = limit
        self._room = [int(limit * share) for share in SHARES]
        self._room[Priority.PAY] = max(limit, PAYMENTS_LEAST)
        telemetry.concurrency_limit.set(limit)

    async def watch(self) -> None:
        """Measure for ever; one loop's only."""
        while True:
            self.learn(min([await _lag_s() for _ in range(LOOKS)]))


async def _lag_s() -> float:
    """How much later than asked for the loop came back."""
    asked_for = time.monotonic() + LOOK_EVERY_S
    await asyncio.sleep(LOOK_EVERY_S)
    return time.monotonic() - asked_for


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
        limit.enter()
        try:
            await self._app(scope, receive, send)
        finally:
            limit.leave()


def as_problem(scope: Scope) -> Response:
    return render(Overloaded(), Request(scope))


@contextlib.contextmanager
def watching(limit: AdaptiveLimit) -> Iterator[None]:
    """Measure while the block runs."""
    task: asyncio.Task[Any] = asyncio.create_task(limit.watch())
    try:
        yield
    finally:
        task.cancel()
