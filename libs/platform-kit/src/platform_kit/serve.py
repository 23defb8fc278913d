"""Serve an application with uvicorn and leave in order: not ready, keep serving, drain, exit."""

from __future__ import annotations

import asyncio
import gc
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from platform_kit.settings import ServiceSettings

KEEP_ALIVE_S = (
    75  # longer than any proxy's idle time (60 s is usual), or the proxy writes into a closing connection
)
DRAIN_MAX_S = 35  # the longest request (a channel that times out, 30 s) and a little


GC_THRESHOLDS = (
    10_000,
    20,
    50,
)  # a request makes some hundred objects: young ones are looked at every 50 requests


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Run until SIGTERM or SIGINT; returns when the last request is answered."""
    _build_routes(app)
    _spare_the_collector()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",  # one parser everywhere; its gaps are those that a front proxy closes (reliability.md 4)
        ws="none",
        access_log=False,  # the canonical line replaces it
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_MAX_S,
        backlog=2048,
    )
    DrainingServer(config, app, settings.drain_delay_s).run()


def _build_routes(app: FastAPI) -> None:
    """FastAPI analyses the routes of an included router when a request first passes it: 0.3 s of CPU in the gateway,
    during which a new pod would answer nobody else."""
    for _ in iter_route_contexts(app.router.routes):
        pass


def _spare_the_collector() -> None:
    """Keep full garbage collections from walking everything that was imported: modules and models live as long as the
    process, and those walks were the tail of a risk decision (p99 with and without: docs/risk.md)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class DrainingServer(uvicorn.Server):
    """uvicorn closes its listener at the first SIGTERM, while endpoints still route to it (uvicorn#2414).

    This one answers `not ready` first and goes on serving for `drain_delay_s`; a second signal ends at once.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_delay_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_delay_s = drain_delay_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._app.state.draining:
            self.should_exit = True
            return
        self._app.state.draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._drain_delay_s, self._leave)

    def _leave(self) -> None:
        self.should_exit = True
