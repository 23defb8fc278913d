"""The operator's door of a process that has no HTTP API of its own: metrics and health on OPS_PORT.

It is served by the loop that does the work, so that a stuck loop fails its liveness probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], Awaitable[Any]]
"""Raises (or returns False) when what it looks at is not usable."""

CHECK_TIMEOUT_S = 2.0  # kubelet's own probe timeout is 3 s in the chart


class OpsServer:
    """GET /metrics, /health/live, /health/ready, /health/startup.

    As a context it serves while entered; port 0 = off.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        checks: Mapping[str, Check] | None = None,
        live: Mapping[str, Check] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._checks = checks or {}
        self._live = live or {}
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on (also when 0 was asked through `start(any_port=True)`)."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def start(self, *, any_port: bool = False) -> None:
        if not self._port and not any_port:
            return
        app = web.Application()
        app.router.add_get("/metrics", _metrics)
        app.router.add_get("/health/live", self._answer_live)
        app.router.add_get("/health/ready", self._answer_ready)
        app.router.add_get("/health/startup", self._answer_ready)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def _answer_live(self, _request: web.Request) -> web.Response:
        return await _answer("live", self._live)

    async def _answer_ready(self, _request: web.Request) -> web.Response:
        return await _answer("ready", self._checks)


async def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """Name and kind of error of each check that does not pass, all asked at once."""
    outcomes = await asyncio.gather(*(_error_of(check) for check in checks.values()))
    return {name: error for name, error in zip(checks, outcomes, strict=True) if error}


async def _answer(word: str, checks: Mapping[str, Check]) -> web.Response:
    failed = await failing(checks)
    body = {"status": f"not {word}", "failing": failed} if failed else {"status": word}
    return web.json_response(body, status=503 if failed else 200)


async def _error_of(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return "not yet" if await check() is False else None
    except Exception as error:
        return type(error).__name__


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
