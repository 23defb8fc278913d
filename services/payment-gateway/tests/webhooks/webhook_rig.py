"""What the webhook tests stand on: the gateway's own deps on a real Postgres, and merchants' servers by real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.engine import Row
from standardwebhooks import Webhook

from payment_gateway.operations.deps import Deps, open_deps
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.manage_merchants import create_merchant
from payment_gateway.operations.manage_webhook_endpoints import register_webhook_endpoint
from payment_gateway.settings import Settings
from payment_gateway.store.tables import outbox
from platform_cli.embedded.event_witness import INVENTED
from platform_kit.ids import new_id
from platform_kit.outbox import Event, Relay, append

PATIENCE_S = 20.0  # a machine that stands still is no receiver that hangs

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A merchant's server. Keeps what came to each path, in order; answers 200 unless a path was given words."""

    url: str = ""
    heard: dict[str, list[tuple[dict[str, str], bytes]]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    async def hear(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.setdefault(request.path, []).append((headers, body))
        answer = self.answers.get(request.path)
        return await answer(request) if answer else web.Response()

    def events(self, path: str, secret: str) -> list[dict[str, Any]]:
        """The verified bodies that came to a path, checked by the public library."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.heard.get(path, [])]


def status(code: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            status=code, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return answer


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def drip_body(request: web.Request) -> web.StreamResponse:
    """The head at once, the body a byte at a time for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b".")
        await asyncio.sleep(0.05)
    return response


@dataclass(frozen=True)
class WebhookRig:
    deps: Deps
    receiver: Receiver

    async def a_merchant(self) -> str:
        return (await create_merchant(self.deps, "Shop", "DE")).id

    async def an_endpoint(self, merchant_id: str, path: str) -> dict[str, Any]:
        return await register_webhook_endpoint(self.deps, merchant_id, self.receiver.url + path)

    async def an_endpoint_at(self, merchant_id: str, url: str) -> dict[str, Any]:
        return await register_webhook_endpoint(self.deps, merchant_id, url)

    async def merchant_of(self, endpoint_id: str) -> str:
        statement = text("SELECT merchant_id FROM payments.webhook_endpoint WHERE id = :id")
        async with self.deps.engine.connect() as connection:
            return str((await connection.execute(statement, {"id": endpoint_id})).scalar_one())

    async def happen(self, merchant_id: str | None, count: int = 1, *, numbered: bool = True) -> list[str]:
        """Events of a merchant, committed and (by the relay) numbered; returns their ids."""
        events = [
            Event(
                id=new_id("evt"),
                type="payment.captured.v1",
                aggregate_id=new_id("pay"),
                data={"payment": {"amount_minor": 1250, "note": "schön"}, "refund": None, **INVENTED},
                occurred_at=datetime.now(UTC),
                merchant_id=merchant_id,
            )
            for _ in range(count)
        ]
        async with self.deps.engine.begin() as connection:
            await append(connection, outbox, events)
        if numbered:
            await self.number()
        return [event.id for event in events]

    async def number(self) -> None:
        """What the relay does before it publishes."""
        relay = Relay(self.deps.engine, outbox, cast(Any, None), "unused", batch_max=10_000)
        await relay.assign()

    async def due(self, merchant_id: str, path: str, count: int = 1) -> tuple[dict[str, Any], list[str]]:
        """An endpoint with `count` deliveries that are due to it."""
        endpoint = await self.an_endpoint(merchant_id, path)
        events = await self.happen(merchant_id, count)
        await fan_out_webhooks(self.deps)
        return endpoint, events

    async def deliveries(self, endpoint_id: str | None = None) -> list[Row[Any]]:
        statement = text(
            "SELECT *, EXTRACT(epoch FROM due_at - now()) AS due_in_s FROM payments.webhook_delivery"
            " WHERE CAST(:endpoint AS text) IS NULL OR endpoint_id = :endpoint ORDER BY id"
        )
        async with self.deps.engine.connect() as connection:
            return list(await connection.execute(statement, {"endpoint": endpoint_id}))

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.deps.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def let_pass(self, pause: timedelta) -> None:
        """Move what is due later nearer by `pause`: the same as waiting, for only the database's time decides."""
        await self.execute(
            "UPDATE payments.webhook_delivery SET due_at = due_at - CAST(:pause AS interval) WHERE status = 'due'",
            pause=pause,
        )


@asynccontextmanager
async def run_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def run_webhook_rig(database_url: str, **changes: Any) -> AsyncIterator[WebhookRig]:
    settings = Settings(
        **{"database_url": database_url, "webhook_allow_private": True, "webhook_timeout_s": PATIENCE_S}
        | changes
    )
    async with run_receiver() as receiver, open_deps(settings) as deps:
        yield WebhookRig(deps, receiver)


def parsed(body: bytes) -> dict[str, Any]:
    return cast(dict[str, Any], orjson.loads(body))
