"""The gateway over real HTTP: real Postgres, the real channel simulators, and a risk engine that does as it is told."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from simulator_rig import QUICK, SECRET, TOKEN, RunningSimulators, run_simulators
from sqlalchemy import text

from payment_gateway.app import create_gateway
from payment_gateway.domain.webhook import signed_headers
from payment_gateway.operations.deps import Deps
from payment_gateway.settings import Settings
from platform_cli.embedded.serving import listening, serving
from platform_cli.embedded.testing import TestDatabase
from platform_kit.ids import new_id

ADMIN = "admin-key-of-tests"
VAULT_KEYS = "k1:" + base64.b64encode(b"1" * 32).decode()
_keys = count(1)


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = orjson.loads(self.raw)
        return parsed

    @property
    def problem(self) -> str:
        return str(self.body["type"]).removeprefix("/problems/")


@dataclass
class FakeRisk:
    """Answers every assessment with `decision` and `status`, after `delay_s`; counts them."""

    decision: str = "allow"
    delay_s: float = 0.0
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def assess(self, request: web.Request) -> web.Response:
        questions = orjson.loads(await request.read())["data"]
        self.asked += [question["assessment"] for question in questions]
        await asyncio.sleep(self.delay_s)
        if self.status != 200:
            return web.json_response({}, status=self.status)
        reasons = [{"code": "TEST", "text": "because the test says so"}]
        answers = [
            {"id": new_id("asm"), "decision": self.decision, "score": 7, "reasons": reasons}
            for _ in questions
        ]
        return web.json_response({"data": [{"status": 200, "assessment": one} for one in answers]})


@dataclass
class RunningGateway:
    """A merchant's client of a gateway that runs, and what stands around it."""

    url: str
    session: aiohttp.ClientSession
    deps: Deps
    simulators: RunningSimulators
    risk: FakeRisk
    key: str = ""
    merchant_id: str = ""

    async def call(
        self, method: str, path: str, *, token: str | None = None, raw: bytes | None = None, **options: Any
    ) -> Reply:
        headers = {"Authorization": f"Bearer {token or self.key}", **options.pop("headers", {})}
        if raw is not None:
            options["data"] = raw
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Reply:
        """A POST under an idempotency key of its own unless the test names one."""
        headers = {"Idempotency-Key": key or f"test-{next(_keys)}", **options.pop("headers", {})}
        raw = orjson.dumps(body if body is not None else {})
        return await self.call("POST", path, raw=raw, headers=headers, **options)

    async def pay(self, token: str = "tok_visa", *, key: str | None = None, **changes: Any) -> Reply:
        """A sale of 12.50 EUR by card."""
        return await self.post("/v1/payments", a_sale(token, **changes), key=key)

    async def hold(self, amount_minor: int = 10_000) -> str:
        reply = await self.pay(capture="manual", amount_minor=amount_minor)
        assert (reply.status, reply.body["status"]) == (201, "authorised"), reply.raw
        return str(reply.body["id"])

    async def captured(self, amount_minor: int = 10_000) -> str:
        reply = await self.pay(amount_minor=amount_minor)
        assert (reply.status, reply.body["status"]) == (201, "captured"), reply.raw
        return str(reply.body["id"])

    async def payment(self, payment_id: str) -> dict[str, Any]:
        reply = await self.call("GET", f"/v1/payments/{payment_id}")
        assert reply.status == 200, reply.raw
        return reply.body

    async def status(self, payment_id: str) -> str:
        return str((await self.payment(payment_id))["status"])

    async def new_merchant(self) -> tuple[str, str]:
        """Id and API key of another merchant."""
        body = orjson.dumps({"name": "Shop", "country": "DE"})
        reply = await self.call("POST", "/v1/merchants", token=ADMIN, raw=body)
        assert reply.status == 201, reply.raw
        return reply.body["id"], reply.body["api_key"]

    async def verification(self) -> dict[str, Any]:
        return (await self.call("GET", "/v1/ledger/verification", token=ADMIN)).body

    async def rows(self) -> dict[str, int]:
        """How many rows each table has: what a refusal must leave as it was. Events: what merchants are told."""
        tables = ("payment", "refund", "attempt", "transfer", "outbox_event", "idempotency_key", "account")
        async with self.deps.engine.connect() as connection:
            counted = {}
            for table in tables:
                told = " WHERE merchant_id IS NOT NULL" if table == "outbox_event" else ""
                counted[table] = await connection.scalar(text(f"SELECT count(*) FROM payments.{table}{told}"))
            return counted


async def told_by_channel(
    gateway: RunningGateway, channel: str, event_id: str, body: Mapping[str, Any]
) -> Reply:
    """A channel's report, signed as the channel signs."""
    raw = orjson.dumps(body)
    headers = signed_headers([SECRET], event_id, int(time.time()), raw)
    return await gateway.call("POST", f"/internal/channel-events/{channel}", raw=raw, headers=headers)


def a_sale(token: str = "tok_visa", **changes: Any) -> dict[str, Any]:
    method = {"type": "card", "card": {"token": token}}
    return {"amount_minor": 1250, "currency": "EUR", "method": method} | changes


@asynccontextmanager
async def run_gateway(
    database: TestDatabase, journals: Path, **changes: Any
) -> AsyncIterator[RunningGateway]:
    """Everything on free ports in this loop, stopped as SIGTERM would stop it."""
    risk = FakeRisk()
    async with run_simulators(journals, QUICK) as simulators, _serve_risk(risk) as risk_url:
        with listening() as (listener, url):
            settings = Settings(
                **{
                    "database_url": database.app_url,
                    "risk_url": risk_url,
                    "card_channel_url": f"{simulators.url}/card",
                    "card2_channel_url": f"{simulators.url}/card2",
                    "bank_channel_url": f"{simulators.url}/bank",
                    "wallet_channel_url": f"{simulators.url}/wallet",
                    "sandbox": True,
                    "channel_timeout_s": 4.0,  # a busy machine is not a fault; what hangs, hangs for five
                    "risk_deadline_s": 10.0,  # a busy machine is no outage; the deadline's own test sets its own
                    "public_url": url,
                    "internal_token": TOKEN,
                    "channel_secret": SECRET,
                    "admin_api_key": ADMIN,
                    "vault_database_url": database.url("vault_app"),
                    "vault_keys": VAULT_KEYS,
                    "vault_fingerprint_key": "fingerprint-key-of-tests-32-bytes-long",
                    "webhook_allow_private": True,
                    "redis_url": "redis://127.0.0.1:1/0",  # none; then a process limits alone, here by far too much
                    "rate_limit_reads_per_s": 100_000,
                    "rate_limit_writes_per_s": 100_000,
                    "overload_lag_s": 0,  # client, channels and gateway are one loop here, and late together
                    "log_level": "ERROR",
                }
                | changes
            )
            app = create_gateway(settings)
            async with serving(app, listener), aiohttp.ClientSession() as session:
                gateway = RunningGateway(url, session, app.state.deps, simulators, risk)
                gateway.merchant_id, gateway.key = await gateway.new_merchant()
                yield gateway


@asynccontextmanager
async def _serve_risk(risk: FakeRisk) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/assessments/batch", risk.assess)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
