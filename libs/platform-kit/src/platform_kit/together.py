"""Calls that go together: those who wait during a round trip are in the next one.

A call over a network costs the same work whatever it carries: a request, its answer, four system calls. So whoever
comes while a round trip is under way waits for it, and goes with all others that came meanwhile. Whoever is alone waits
for nothing, and the busier the process, the more goes together. It is the committer's idea (committer.py), without the
transaction.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
Send = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
"""One round trip: the results in the order of the items, an exception in the place of what failed alone. What it raises
befalls all of them."""


class Together(Generic[Item, Result]):
    """Items on their way through `send`, at most `batch_max` in one round trip and `lanes` of those at once.

    Belongs to the event loop that it is used in.
    """

    def __init__(self, send: Send[Item, Result], *, batch_max: int, lanes: int = 1) -> None:
        self._send = send
        self._batch_max = batch_max
        self._lanes = lanes
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._senders: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    async def call(self, item: Item, timeout_s: float) -> Result:
        """The item's own result. Raises its error, or TimeoutError; it may have been sent all the same."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._senders) < self._lanes:
            # In a context of its own: what it does, it does for nobody's request in particular.
            sender = asyncio.create_task(self._send_waiting(), context=contextvars.Context())
            self._senders.add(sender)
        # A timer on the future itself: `asyncio.timeout`, which would cancel the task, takes four times as long.
        timer = asyncio.get_running_loop().call_later(timeout_s, _too_late, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
                still_wanted = [(item, future) for item, future in batch if not future.done()]
                if still_wanted:  # whoever lost patience stays behind
                    await self._settle(still_wanted)
        finally:
            # In the same step as the last look, so that nobody waits for a sender that has ended.
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._send([item for item, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _too_late(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
