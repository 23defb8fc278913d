"""A careful shop: it keeps a history of all that it asked and was told, and repeats a lost request with its key."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

GIVE_UP_AFTER_S = 60.0  # a process that was killed is back after a second or two; promise P5 allows 60 s
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
TRY_TIMEOUT = aiohttp.ClientTimeout(total=20)  # the gateway waits 5 s for a channel
PENDING = frozenset({"processing", "unknown"})


class NoAnswer(RuntimeError):
    """No final answer in time: the shop does not know what became of its request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the raw bytes too, since a replay must repeat them. `latency_s` is the last try's."""

    status: int
    raw: bytes
    body: dict[str, Any]
    latency_s: float
    tries: int

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class History:
    """Counts of what it took to get the answers."""

    requests: int = 0
    retries: int = 0
    lost_answers: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


class Shop:
    """One merchant's client. Use as an async context."""

    def __init__(self, gateway_url: str, api_key: str, connections: int = 32) -> None:
        self._url = gateway_url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._connections = connections
        self.history = History()

    async def __aenter__(self) -> "Shop":
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(connector=connector, timeout=TRY_TIMEOUT, headers=self._headers)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Reply:
        """A POST that moves money, repeated with the same key until there is an answer. Raises NoAnswer."""
        return await self._until_answered("POST", path, {"json": body, "headers": {"Idempotency-Key": key}})

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """A GET, repeated while nobody answers. Raises NoAnswer."""
        return await self._until_answered("GET", path, {"params": params or {}})

    async def payment(self, payment_id: str) -> dict[str, Any]:
        """The payment as the gateway has it now."""
        return (await self.get(f"/v1/payments/{payment_id}")).body

    async def settled_payment(self, payment_id: str, pending: frozenset[str] = PENDING) -> dict[str, Any]:
        """The payment once it is no longer `pending`. Raises NoAnswer after a minute."""
        deadline = time.monotonic() + GIVE_UP_AFTER_S
        pause = FIRST_PAUSE_S
        while (payment := await self.payment(payment_id))["status"] in pending:
            if time.monotonic() > deadline:
                raise NoAnswer(f"{payment_id} is still {payment['status']}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        return payment

    async def all_payments(self) -> list[dict[str, Any]]:
        """Every payment of the merchant, page by page."""
        found: list[dict[str, Any]] = []
        params = {"limit": "100"}
        while True:
            page = (await self.get("/v1/payments", params)).body
            found += page["data"]
            if not page.get("next_cursor"):
                return found
            params = {"limit": "100", "cursor": page["next_cursor"]}

    async def answer_challenge(self, url: str, outcome: str) -> None:
        """What the customer does at the issuer's page: passed, failed or abandoned."""
        await self._until_answered("POST", url, {"json": {"outcome": outcome}})

    async def _until_answered(self, method: str, path: str, request: dict[str, Any]) -> Reply:
        """A refusal that says `later` (409 in progress, 429, 5xx) and a lost connection are tried again."""
        deadline = time.monotonic() + GIVE_UP_AFTER_S
        pause = FIRST_PAUSE_S
        tries = 0
        while True:
            tries += 1
            reply = await self._once(method, path, request, tries)
            if reply and not _is_later(reply):
                return reply
            if time.monotonic() > deadline:
                raise NoAnswer(
                    f"{method} {path}: {reply.status if reply else 'no connection'} after {tries} tries"
                )
            self.history.retries += 1
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)

    async def _once(self, method: str, path: str, request: dict[str, Any], tries: int) -> Reply | None:
        url = path if path.startswith("http") else self._url + path
        started = time.perf_counter()
        self.history.requests += 1
        try:
            async with self._session.request(method, url, **request) as reply:
                raw = await reply.read()
                body = await reply.json(content_type=None) if raw else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self.history.lost_answers += 1
            return None
        self.history.statuses[reply.status] = self.history.statuses.get(reply.status, 0) + 1
        return Reply(reply.status, raw, body, time.perf_counter() - started, tries)


def _is_later(reply: Reply) -> bool:
    code = str(reply.body.get("type", "")) if isinstance(reply.body, dict) else ""
    return reply.status in {429, 500, 502, 503, 504} or (reply.status == 409 and "in-progress" in code)
