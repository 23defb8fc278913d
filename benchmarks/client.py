"""A closed-loop HTTP/1.1 load client, as light as Python allows: it shares two cores with what it measures.

aiohttp costs about 150 us a request, which would be most of the second core at the rates seen here; this one costs
about 25 us. It speaks just enough HTTP for our own servers: keep-alive, Content-Length, no chunks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

Request = Callable[[], bytes]
"""Makes the bytes of the next request."""
Answered = Callable[[bytes], None]
"""Gets the body of each 2xx answer, to be read after the run."""


@dataclass
class Run:
    """What a run saw. `latencies_s` has one entry per answered request."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection(asyncio.Protocol):
    def __init__(
        self, request: Request, run: Run, until: float, done: asyncio.Future[None], answered: Answered | None
    ) -> None:
        self._request, self._run, self._until, self._done = request, run, until, done
        self._answered = answered
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has its own class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        start = head.lower().index(b"content-length:") + 15
        length = int(head[start : start + 12].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._buffer = b""
        now = time.perf_counter()
        self._run.statuses[int(head[9:12])] += 1
        if self._answered and head[9:10] == b"2":
            self._answered(rest)
        self._run.latencies_s.append(now - self._sent_at)
        if now >= self._until:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request())


async def drive(
    host: str,
    port: int,
    request: Request,
    *,
    connections: int,
    seconds: float,
    answered: Answered | None = None,
) -> Run:
    """Keep `connections` requests in flight for `seconds`."""
    loop = asyncio.get_running_loop()
    run = Run()
    started = time.perf_counter()
    until = started + seconds
    finished = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        protocol = partial(_Connection, request, run, until, done, answered)
        await loop.create_connection(protocol, host, port)
        finished.append(done)
    await asyncio.gather(*finished)
    run.seconds = time.perf_counter() - started
    return run


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of one POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
