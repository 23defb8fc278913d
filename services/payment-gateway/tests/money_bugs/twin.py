"""A second gateway on the database and the channels of a running one: another replica."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import uvicorn
from gateway_rig import RunningGateway

from payment_gateway.app import create_gateway


@asynccontextmanager
async def run_twin(gateway: RunningGateway) -> AsyncIterator[RunningGateway]:
    """A client of the same merchant, talking to the other replica."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio sets it only on sockets that name TCP; without it each answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_gateway(gateway.deps.settings.model_copy(update={"public_url": url}))
        # A test that pauses this loop between its steps is not idle: a reset would hit its next POST.
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_keep_alive=3600)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not serving.done(), "the twin did not start"
            await asyncio.sleep(0.005)
        try:
            async with aiohttp.ClientSession() as session:
                yield replace(gateway, url=url, deps=app.state.deps, session=session)
        finally:
            server.should_exit = True
            await serving
