"""The channel simulators on a real port in this process, a client for them, and a gateway that hears their reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from payment_gateway.clients.simulators.app import create_simulators
from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.settings import Settings
from platform_cli.embedded.serving import serving

TOKEN = "internal-token-of-tests"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUICK = Delays(slow_s=0.05, hang_s=5.0, decide_least_s=0.02, decide_most_s=0.05, return_s=0.05)


@dataclass
class RunningSimulators:
    """A client of simulators that answer at `url`."""

    url: str
    session: aiohttp.ClientSession
    journals: Path

    async def post(self, path: str, key: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Idempotency-Key": key} if key is not None else {}
        async with self.session.post(self.url + path, json=body, headers=headers) as response:
            return response.status, orjson.loads(await response.read())

    async def get(self, path: str, **params: Any) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.session.get(self.url + path, params=params, headers=headers) as response:
            return response.status, await response.read()

    async def authorise(
        self, key: str, token: str = "tok_visa", **changes: Any
    ) -> tuple[int, dict[str, Any]]:
        """A sale of 12.50 EUR unless the test says otherwise."""
        body = {"token": token, "amount_minor": 1250, "currency": "EUR", "capture": True, "challenge": False}
        return await self.post("/card/authorisations", key, **body | changes)

    async def hold(self, key: str, amount_minor: int = 1250) -> None:
        status, answer = await self.authorise(key, capture=False, amount_minor=amount_minor)
        assert (status, answer["outcome"]) == (200, "succeeded")

    async def act(self, path: str, key: str, original: str, amount_minor: int) -> dict[str, Any]:
        """A capture, void or refund on /card."""
        _, answer = await self.post(
            f"/card/{path}", key, original=original, amount_minor=amount_minor, currency="EUR"
        )
        return answer

    async def operation(self, key: str, channel: str = "card") -> dict[str, Any] | None:
        status, body = await self.get(f"/{channel}/operations/{key}")
        return orjson.loads(body) if status == 200 else None

    async def journal(self, channel: str = "card_sim", after: int = 0) -> list[dict[str, Any]]:
        status, body = await self.get("/journal", channel=channel, after=after)
        assert status == 200
        return list(orjson.loads(body)["data"])

    async def charged_minor(self, key: str) -> int:
        """How much the channel took under a key, by its own journal."""
        return sum(line.get("charged_minor", 0) for line in await self.journal() if line["key"] == key)


@asynccontextmanager
async def run_simulators(
    journals: Path, delays: Delays = QUICK, gateway_url: str = "http://127.0.0.1:9"
) -> AsyncIterator[RunningSimulators]:
    """Start the application on a free port; stop it as SIGTERM would."""
    settings = Settings(
        channel_journal_dir=str(journals),
        gateway_url=gateway_url,
        internal_token=TOKEN,
        channel_secret=SECRET,
        log_level="ERROR",
    )
    async with serving(create_simulators(settings, delays)) as url, aiohttp.ClientSession() as session:
        yield RunningSimulators(url, session, journals)


@dataclass
class Hearer:
    """A gateway's door for reports: answers `statuses` one by one (the last one for ever), keeps what came."""

    statuses: list[int] = field(default_factory=lambda: [200])
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def hear(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.heard.append(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status)

    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.heard]


@asynccontextmanager
async def run_hearer(*statuses: int) -> AsyncIterator[Hearer]:
    hearer = Hearer(list(statuses) or [200])
    app = web.Application()
    app.router.add_post("/{path:.*}", hearer.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hearer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield hearer
    finally:
        await runner.cleanup()


async def eventually(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until `holds()` is true; fail when it is not in time."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in another task or process
            await asyncio.sleep(0.01)
