"""A second gateway on the database and the channels of a running one: another replica."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
from gateway_rig import RunningGateway

from payment_gateway.app import create_gateway
from platform_cli.embedded.serving import listening, serving


@asynccontextmanager
async def run_twin(gateway: RunningGateway) -> AsyncIterator[RunningGateway]:
    """A client of the same merchant, talking to the other replica."""
    with listening() as (listener, url):
        app = create_gateway(gateway.deps.settings.model_copy(update={"public_url": url}))
        async with serving(app, listener), aiohttp.ClientSession() as session:
            yield replace(gateway, url=url, deps=app.state.deps, session=session)
