"""What a simulated channel reports by itself: signed callbacks, repeated until somebody takes note."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import aiohttp
import orjson

from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.scripts import Fault, fault_of
from payment_gateway.domain.webhook import signed_headers
from platform_kit.logging import get_logger

RETRY_AFTER_S: Final = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 30, 30)
"""Pauses between tries: two minutes, longer than a restart of the gateway. After that it must ask by itself."""
CONNECTIONS_MAX: Final = 32
TIMEOUT_S: Final = 10.0
TWICE: Final = "qr_twice"
OUTDATED: Final = "action_required"

log = get_logger(__name__)


class Reporter:
    """Sends the results of one channel. Its work ends with the process and is taken up again from the journal."""

    def __init__(self, book: Book, secret: str) -> None:
        self._book = book
        self._secret = secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Take up what a former process left untold; call inside the loop."""
        for operation in list(self._book.unreported()):
            self.report(operation)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def report(self, operation: Operation) -> None:
        """Tell the result of `operation` in the background."""
        task = asyncio.create_task(self._deliver(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, operation: Operation) -> None:
        bodies = _bodies_of(operation)
        for pause_s in (*RETRY_AFTER_S, None):
            while bodies and await self._try(operation, *bodies[0]):
                bodies.pop(0)
            if not bodies:
                self._book.append("reported", operation.key)
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        log.warning("nobody takes note of a result", channel=self._book.channel, channel_key=operation.key)

    async def _try(self, operation: Operation, event_id: str, body: bytes) -> bool:
        """One try; True for a 2xx."""
        headers = signed_headers([self._secret], event_id, int(time.time()), body)
        session = self._session or self._open_session()
        try:
            async with session.post(
                str(operation.callback_url),
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
            ) as response:
                return response.status // 100 == 2
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):  # ValueError: no URL at all
            return False

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )
        return self._session


def report_of(operation: Operation) -> dict[str, object]:
    """The body of a callback."""
    answer = operation.answer()
    del answer["next_action"]
    if operation.type == "return":
        answer["original"] = operation.original
    if operation.type == "dispute":
        answer |= {"original": operation.original, "dispute": operation.key.partition(".")[0]}
    return {"type": f"{operation.type}.{operation.outcome}", **answer}


def _bodies_of(operation: Operation) -> list[tuple[str, bytes]]:
    """Message ids and bodies to deliver, in this order; the same id means the same message."""
    final = (f"cev_{operation.reference}", orjson.dumps(report_of(operation)))
    fault = fault_of(operation.fault, None)
    if operation.provider == TWICE or fault is Fault.DUPLICATE_CALLBACKS:
        return [final, final]
    if fault is Fault.SHUFFLED_CALLBACKS and operation.type == "authorisation":
        waiting = {**report_of(operation), "type": f"{operation.type}.{OUTDATED}", "outcome": OUTDATED}
        return [final, (f"cev_{operation.reference}_0", orjson.dumps(waiting | {"captured": False}))]
    return [final]
