"""The running platform as its users see it: over HTTP, at the addresses in the environment.

`make e2e` takes them from `.platform/env`; a cluster's test sets them itself. GATEWAY_URL and ADMIN_API_KEY are needed;
what an environment cannot offer (CHANNELS_URL, PIPELINE_URL, a way back to this machine) skips its stories by name.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

SETTLED_WITHIN_S = 60.0  # promise P5: an unknown outcome has an end within a minute
TIMEOUT = aiohttp.ClientTimeout(total=30)
PENDING = {"processing", "unknown"}


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the platform is. Empty = this environment does not offer it."""

    gateway_url: str
    pipeline_url: str
    risk_url: str
    channels_url: str
    admin_api_key: str
    internal_token: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, bytes and JSON of one answer."""

    status: int
    raw: bytes
    body: Any
    headers: Mapping[str, str]

    @property
    def problem(self) -> str:
        """The slug at the end of a problem's type."""
        return str(self.body.get("type", "")).rpartition("/")[2] if isinstance(self.body, dict) else ""


@dataclass(frozen=True, slots=True)
class Client:
    """HTTP with one bearer token."""

    session: aiohttp.ClientSession
    base_url: str
    token: str

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Reply:
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        async with self.session.request(method, self.base_url + path, headers=sent, **request) as reply:
            raw = await reply.read()
            is_json = "json" in reply.headers.get("content-type", "")
            return Reply(
                reply.status, raw, await reply.json(content_type=None) if is_json else None, reply.headers
            )

    async def get(self, path: str, **params: str) -> Reply:
        return await self.send("GET", path, params=params)

    async def post(self, path: str, body: Any, key: str | None = None) -> Reply:
        """POST with an idempotency key of its own, or with the given one."""
        headers = {"Idempotency-Key": key or f"e2e-{secrets.token_hex(8)}"}
        return await self.send("POST", path, json=body, headers=headers)

    async def pay(self, token: str = "tok_visa", amount_minor: int = 1250, **more: Any) -> Reply:
        """POST /v1/payments by a card that nobody used before; its prefix decides what the channel does.

        Stories pay less than 30 euros: up to there the gateway lets a payment through by itself, should the risk engine
        be late on a busy machine.
        """
        card = {"type": "card", "card": {"token": f"{token}_{secrets.token_hex(5)}"}}
        body = {"amount_minor": amount_minor, "currency": "EUR", "method": card, **more}
        return await self.post("/v1/payments", body)

    async def payment(self, payment_id: str) -> dict[str, Any]:
        reply = await self.get(f"/v1/payments/{payment_id}")
        assert reply.status == 200, reply.raw
        payment: dict[str, Any] = reply.body
        return payment

    async def settled(self, payment_id: str, pending: set[str] = PENDING) -> dict[str, Any]:
        """The payment once it is no longer pending."""
        found: dict[str, Any] = await eventually(
            lambda: self._unless_pending(payment_id, pending), f"{payment_id} is still pending"
        )
        return found

    async def _unless_pending(self, payment_id: str, pending: set[str]) -> dict[str, Any] | None:
        payment = await self.payment(payment_id)
        return None if payment["status"] in pending else payment


async def eventually(
    look: Callable[[], Awaitable[Any]],
    complaint: str,
    within_s: float = SETTLED_WITHIN_S,
    every_s: float = 0.2,
) -> Any:
    """The first true thing that `look` sees."""
    deadline = time.monotonic() + within_s
    while not (seen := await look()):
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(every_s)
    return seen


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture() -> Callable[..., Awaitable[Any]]:
    return eventually


@pytest.fixture(scope="session")
def platform() -> Platform:
    """The addresses. Fails, with what to do, when there are none."""
    missing = [name for name in ("GATEWAY_URL", "ADMIN_API_KEY") if not os.environ.get(name)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not set: run `make up`, then `make e2e`")
    return Platform(
        gateway_url=os.environ["GATEWAY_URL"].rstrip("/"),
        pipeline_url=os.environ.get("PIPELINE_URL", "").rstrip("/"),
        risk_url=os.environ.get("RISK_URL", "").rstrip("/"),
        channels_url=os.environ.get("CHANNELS_URL", "").rstrip("/"),
        admin_api_key=os.environ["ADMIN_API_KEY"],
        internal_token=os.environ.get("INTERNAL_TOKEN", ""),
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as opened:
        yield opened


@pytest.fixture
async def admin(session: aiohttp.ClientSession, platform: Platform) -> Client:
    return Client(session, platform.gateway_url, platform.admin_api_key)


@pytest.fixture
async def merchant(admin: Client, session: aiohttp.ClientSession, platform: Platform) -> Client:
    """A merchant of this test's own."""
    reply = await admin.post("/v1/merchants", {"name": "E2E Shop", "country": "DE"})
    assert reply.status == 201, reply.raw
    return Client(session, platform.gateway_url, reply.body["api_key"])


@pytest.fixture
async def pipeline(session: aiohttp.ClientSession, platform: Platform) -> Client:
    if not platform.pipeline_url:
        pytest.skip("PIPELINE_URL is not set: this environment does not expose the data pipeline")
    return Client(session, platform.pipeline_url, platform.internal_token)


@pytest.fixture
async def channels(session: aiohttp.ClientSession, platform: Platform) -> Client:
    if not platform.channels_url:
        pytest.skip("CHANNELS_URL is not set: this environment does not expose the channel simulators")
    return Client(session, platform.channels_url, platform.internal_token)
