"""Answers that go wrong: late, never, or with a reset connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_ABORT = "simulator.abort"


@dataclass(frozen=True, slots=True)
class Delays:
    """How slow a simulator is, in seconds."""

    slow_s: float = 1.0
    hang_s: float = (
        30.0  # longer than the gateway waits (5 s), short enough that a stop does not wait for ever
    )
    decide_least_s: float = 0.3  # a payer needs between these two
    decide_most_s: float = 1.0
    challenge_s: float = 900.0  # an issuer waits a quarter of an hour for the payer
    return_s: float = 1.0  # stands for the days after which a bank takes a transfer back


async def hang(request: Request, hang_s: float) -> None:
    """Return when the client has given up, or after `hang_s`; the caller then cuts the connection."""
    try:
        async with asyncio.timeout(hang_s):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def reset(request: Request) -> None:
    """Reset the client's connection: it gets no answer, not even the start of one."""
    request.scope[_ABORT]()
    await asyncio.sleep(0)  # the server notices before the handler's response is sent into the void


class ConnectionAccess:
    """ASGI wrapper that lets a handler cut its connection, which ASGI itself has no word for.

    It must be the outermost one: `send` is then uvicorn's own, and knows its transport.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[_ABORT] = _aborter(send)
        await self._app(scope, receive, send)


def _aborter(send: Send) -> Callable[[], None]:
    def abort() -> None:
        transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
        if transport.is_closing():
            return
        # A linger time of zero makes close send RST instead of FIN; the option belongs to the shared socket.
        with socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    return abort
