"""Calls of other services. What decides whether money moved is told by the type of the error:

- `NotSent`: provably no byte of the request left us (refused, no such host, no TLS, no free connection, open
  breaker, no time left). The work was not done.
- `NoAnswer`: a connection was there, so the other side may have done the work (timeout, reset, unreadable
  answer). Only asking again under the same idempotency key tells.

Whatever cannot be proved to be the first is the second.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
import orjson
from aiohttp.client import ClientTimeout
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy

from platform_kit import canonical, telemetry
from platform_kit.breaker import Breaker, Permit
from platform_kit.deadline import HEADER as DEADLINE_HEADER
from platform_kit.deadline import Deadline

BODY_MAX_BYTES: Final = 1024 * 1024  # an answer of ours is a few kB; a page of 1,000 events asks for more
CONNECTIONS_MAX: Final = 100
KEEP_ALIVE_S: Final = 30.0  # shorter than any server's (ours: 75 s), so that we close first
DNS_CACHE_S: Final = 10
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0
TOKENS_MAX: Final = 10.0  # retries that a quiet time may save up
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class CallFailed(Exception):
    """No usable answer. `reason` is a short slug for logs and metrics, never a peer's text."""

    def __init__(self, client: str, reason: str) -> None:
        super().__init__(f"{client}: {reason}")
        self.client = client
        self.reason = reason


class NotSent(CallFailed):
    """Nothing was sent."""


class NoAnswer(CallFailed):
    """It may have been sent, received and done."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer, whatever its status; redirects are answers too."""

    client: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        """The parsed body. Raises NoAnswer when it is no JSON: we do not know what the other side did."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise NoAnswer(self.client, "unreadable_body") from None


@dataclass(frozen=True, slots=True)
class _Call:
    """What every attempt of a call repeats."""

    method: str
    path: str
    body: bytes | None
    params: Mapping[str, str | int] | None
    headers: dict[str, str]
    deadline: Deadline | None
    max_body_bytes: int


class RetryBudget:
    """Tokens: each call earns `ratio`, each retry costs one, so retries stay below `ratio` of the calls
    (+1).
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = 1.0

    def earn(self) -> None:
        self._tokens = min(TOKENS_MAX, self._tokens + self._ratio)

    def spend(self) -> bool:
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


_connected: ContextVar[list[bool]] = ContextVar("http_connected")


class _MarkingConnector(aiohttp.TCPConnector):
    """Notes the moment from which bytes may leave: when a request has its connection."""

    async def connect(self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _connected.get().append(True)
        return connection


class HttpClient:
    """A client of one service. Make it inside the loop, close it (or use it as a context).

    `timeout_s` bounds one attempt from the free connection to the last byte, `connect_timeout_s` the wait
    for a connection. `retries` counts further attempts: after NotSent always, after NoAnswer only for GET,
    HEAD and calls marked `idempotent`, with full jitter, within `retry_budget` of all calls and within the
    deadline.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout_s: float,
        connect_timeout_s: float = 1.0,
        retries: int = 0,
        retry_budget: float = 0.1,
        breaker: Breaker | None = None,
        headers: Mapping[str, str] | None = None,
        max_body_bytes: int = BODY_MAX_BYTES,
        connections_max: int = CONNECTIONS_MAX,
        forward_context: bool = True,
    ) -> None:
        self.name = name
        self.breaker = breaker
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._retries = retries
        self._budget = RetryBudget(retry_budget)
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._max_body_bytes = max_body_bytes
        self._connections_max = connections_max
        self._forward_context = forward_context
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, **options: Any) -> HttpResponse:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> HttpResponse:
        return await self.request("POST", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        idempotent: bool | None = None,
        max_body_bytes: int | None = None,
    ) -> HttpResponse:
        """One call, with its retries. Raises NotSent or NoAnswer; a 4xx or 5xx is an answer, not an error.

        When one of several attempts may have arrived, the error is NoAnswer, whatever the last attempt met.
        """
        sent = dict(self._headers)
        if json is not None:
            body = orjson.dumps(json)
            sent["Content-Type"] = "application/json"
        if headers:
            sent.update(headers)
        call = _Call(method, path, body, params, sent, deadline, max_body_bytes or self._max_body_bytes)
        repeatable = method in SAFE_METHODS if idempotent is None else idempotent
        self._budget.earn()
        attempt = 0
        may_have_arrived: NoAnswer | None = None
        while True:
            try:
                return await self._attempt(call)
            except NoAnswer as error:
                may_have_arrived = error
                failure: CallFailed = error
                may_retry = repeatable
            except NotSent as error:
                failure = error
                may_retry = error.reason not in _POINTLESS
            if not may_retry or attempt >= self._retries or not self._budget.spend():
                raise may_have_arrived or failure
            pause_s = random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt))
            if deadline is not None and deadline.remaining() <= pause_s:
                raise may_have_arrived or failure
            attempt += 1
            canonical.increase(f"{self.name}_retries")
            await asyncio.sleep(pause_s)

    async def _attempt(self, call: _Call) -> HttpResponse:
        """One attempt under the breaker, measured and traced."""
        permit = self._permit()
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            if telemetry.is_tracing():
                with telemetry.span(f"{call.method} {self.name}", "client"):
                    response = await self._send(call)
            else:
                response = await self._send(call)
            outcome = f"{response.status // 100}xx"
            return response
        except NotSent:
            outcome = "not_sent"
            raise
        except NoAnswer:
            outcome = "no_answer"
            raise
        finally:
            telemetry.observe_client(self.name, outcome, time.perf_counter() - started)
            if permit is not None and self.breaker is not None:
                self.breaker.record(permit, ok=_verdict(outcome))

    def _permit(self) -> Permit | None:
        if self.breaker is None:
            return None
        permit = self.breaker.acquire()
        if permit is None:
            telemetry.observe_client(self.name, "breaker_open", 0.0)
            raise NotSent(self.name, "breaker_open")
        return permit

    async def _send(self, call: _Call) -> HttpResponse:
        limit_s = self._timeout_s if call.deadline is None else call.deadline.sooner(self._timeout_s)
        if limit_s <= 0:
            raise NotSent(self.name, "deadline")
        self._add_context(call)
        connected: list[bool] = []
        token = _connected.set(connected)
        try:
            async with asyncio.timeout(limit_s):
                return await self._exchange(call)
        except TimeoutError as error:  # ours, or aiohttp's while it waited for a connection
            raise self._failed(connected, "timeout" if connected else "connect_timeout") from error
        except aiohttp.InvalidURL as error:
            raise NotSent(self.name, "invalid_url") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(connected, _reason(error, bool(connected))) from error
        finally:
            _connected.reset(token)

    def _failed(self, connected: list[bool], reason: str) -> CallFailed:
        return (NoAnswer if connected else NotSent)(self.name, reason)

    def _add_context(self, call: _Call) -> None:
        if not self._forward_context:
            return
        headers = call.headers
        if call.deadline is not None:
            headers[DEADLINE_HEADER] = call.deadline.header()
        traceparent = telemetry.current_traceparent()
        if traceparent is not None:
            headers.setdefault("traceparent", traceparent)
        request_id = canonical.get("request_id")
        if request_id is not None:
            headers.setdefault("X-Request-Id", request_id)

    async def _exchange(self, call: _Call) -> HttpResponse:
        session = self._session or self._open_session()
        async with session.request(
            call.method,
            self._base_url + call.path,
            # As what it is: aiohttp would ask each of its kinds of payload in turn, 6 % of the gateway's time.
            data=None if call.body is None else aiohttp.BytesPayload(call.body),
            params=call.params,
            headers=call.headers,
            allow_redirects=False,
        ) as response:
            content = await self._read(response, call.max_body_bytes)
            return HttpResponse(self.name, response.status, response.headers, content)

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
        """The body, up to the limit. A longer one is no answer that we can trust."""
        if (response.content_length or 0) > max_bytes:
            raise NoAnswer(self.name, "body_too_large")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > max_bytes:
                raise NoAnswer(self.name, "body_too_large")
            chunks.append(chunk)
        return b"".join(chunks)

    def _open_session(self) -> aiohttp.ClientSession:
        connector = _MarkingConnector(
            limit=self._connections_max,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=DNS_CACHE_S,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # we ask for plain bytes; a compressed bomb stays small
            timeout=ClientTimeout(total=None, connect=self._connect_timeout_s),
        )
        # aiohttp sends GET, PUT and DELETE again when a kept connection breaks: retries are ours to count.
        session._retry_connection = False
        self._session = session
        return session


_POINTLESS: Final = frozenset({"breaker_open", "deadline", "invalid_url"})


def _verdict(outcome: str) -> bool | None:
    """What an outcome says about the other side's health. Our own cancellation says nothing."""
    return None if outcome == "cancelled" else outcome not in {"5xx", "not_sent", "no_answer"}


def _reason(error: Exception, connected: bool) -> str:
    if connected:
        if isinstance(error, aiohttp.ClientPayloadError):
            return "body_cut"
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "disconnected"
        return "unreadable_head" if isinstance(error, aiohttp.ClientResponseError) else "reset"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unknown_host"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "tls"
    return "refused" if isinstance(error, aiohttp.ClientConnectorError) else "connection"
