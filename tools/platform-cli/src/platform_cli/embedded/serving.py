"""An application behind a real server, in the loop of a test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

import uvicorn
from fastapi import FastAPI


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A free port and its URL, for an application that must know the URL when it is made."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio sets it only on sockets that name TCP; without it each answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving(
    app: FastAPI, listener: socket.socket | None = None, *, lifespan: Literal["on", "off"] = "on"
) -> AsyncIterator[str]:
    """Its URL while it runs, on `listener` or a port of its own; stopped as SIGTERM would stop it, without the tenths
    of a second for which uvicorn sleeps meanwhile: a thousand tests do this.

    Raises RuntimeError when the application does not start.
    """
    if listener is None:
        with listening() as (own, _):
            async with serving(app, own, lifespan=lifespan) as url:
                yield url
        return
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan=lifespan,
        timeout_keep_alive=3600,  # a test that pauses this loop is not idle: a reset would hit its next POST
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    if not server.started:
        raise RuntimeError("the application did not start")
    await server.on_tick(0)  # the Date of its answers
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for one in server.servers:
            one.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        await server.lifespan.shutdown()
