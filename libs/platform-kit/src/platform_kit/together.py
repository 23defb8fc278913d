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
from typing import Generic, TypeVar

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
        self._sending = 0
        self._senders: set[asyncio.Task[None]] = set()

    async def call(self, item: Item, timeout_s: float) -> Result:
        """The item's own result. Raises its error, or TimeoutError; it may have been sent all the same."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._sending < self._lanes:
            self._sending += 1
            # In a context of its own: what it does, it does for nobody's request in particular.
            sender = asyncio.create_task(self._send_waiting(), context=contextvars.Context())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)  # the loop itself keeps no task alive
        async with asyncio.timeout(timeout_s):
            return await future

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
                still_wanted = [
                    one for one in batch if not one[1].done()
                ]  # whoever lost patience stays behind
                if still_wanted:
                    await self._settle(still_wanted)
        finally:
            self._sending -= (
                1  # in the same step as the last look, so that nobody waits for a sender that has ended
            )

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
