"""A merchant's endpoint is told, signed by Standard Webhooks, again until it says yes."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass
class Receiver:
    """An endpoint that keeps what it is sent; the first `failures` deliveries get a 500."""

    url: str = ""
    failures: int = 0
    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=500)
        self.got.append(
            (await request.read(), {name.lower(): value for name, value in request.headers.items()})
        )
        return web.Response(status=204)

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """The deliveries, each verified. Raises WebhookVerificationError."""
        for body, headers in self.got:
            Webhook(secret).verify(body, headers)
        return [json.loads(body) for body, _ in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    host = os.environ.get("E2E_WEBHOOK_HOST", "127.0.0.1")
    if host == "none":
        pytest.skip("E2E_WEBHOOK_HOST=none: this platform cannot reach a server on this machine")
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1" if host == "127.0.0.1" else "0.0.0.0", 0)  # noqa: S104 - a cluster's way in
    await site.start()
    made.url = f"http://{host}:{runner.addresses[0][1]}/hooks"
    yield made
    await runner.cleanup()


async def test_each_event_arrives_signed(merchant: Any, receiver: Receiver, eventually: Any) -> None:
    endpoint = (await merchant.post("/v1/webhook-endpoints", {"url": receiver.url})).body
    paid = (await merchant.pay(amount_minor=1250)).body

    async def told() -> bool:
        types = [event["type"] for event in receiver.verified(endpoint["secret"])]
        return "payment.captured.v1" in types

    await eventually(told, "no webhook came")
    event = next(e for e in receiver.verified(endpoint["secret"]) if e["type"] == "payment.captured.v1")
    assert event["data"]["payment"]["id"] == paid["id"]
    assert event["data"]["payment"]["captured_minor"] == 1250
    assert "position" not in event


async def test_another_secret_does_not_verify(merchant: Any, receiver: Receiver, eventually: Any) -> None:
    await merchant.post("/v1/webhook-endpoints", {"url": receiver.url})
    await merchant.pay()

    async def came() -> bool:
        return bool(receiver.got)

    await eventually(came, "no webhook came")
    with pytest.raises(WebhookVerificationError):
        receiver.verified("whsec_" + "A" * 43 + "=")


async def test_a_failing_endpoint_is_tried_again(merchant: Any, receiver: Receiver, eventually: Any) -> None:
    receiver.failures = 1
    endpoint = (await merchant.post("/v1/webhook-endpoints", {"url": receiver.url})).body
    await merchant.pay()

    async def told() -> bool:
        return any(e["type"] == "payment.captured.v1" for e in receiver.verified(endpoint["secret"]))

    await eventually(told, "the endpoint was given up")


async def test_the_secret_is_shown_once(merchant: Any, receiver: Receiver) -> None:
    made = (await merchant.post("/v1/webhook-endpoints", {"url": receiver.url})).body
    assert made["secret"].startswith("whsec_")
    listed = (await merchant.get("/v1/webhook-endpoints")).body["data"]
    assert [endpoint["url"] for endpoint in listed] == [receiver.url]
    assert all("secret" not in endpoint or endpoint["secret"] is None for endpoint in listed)
