"""Whether money moved hangs on one distinction: was nothing sent, or do we not know?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from platform_kit import canonical, telemetry
from platform_kit.breaker import Breaker, State
from platform_kit.deadline import Deadline
from platform_kit.http import CallFailed, HttpClient, NoAnswer, NotSent, RetryBudget

pytestmark = pytest.mark.timing

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A raw TCP server that counts what arrives; each connection is given to `handler`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = ""

    async def on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._handler(reader, writer)
        writer.close()

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(row[15:]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:")), 0
        )
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


@asynccontextmanager
async def serving(make: Callable[[Server], Handler]) -> AsyncIterator[Server]:
    server = Server(lambda reader, writer: handler(reader, writer))
    handler = make(server)
    listener = await asyncio.start_server(server.on_connection, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}'


def answering(raw: bytes = OK, *, keep: bool = True) -> Callable[[Server], Handler]:
    def make(server: Server) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await server.read_request(reader)
                writer.write(raw)
                await writer.drain()
                if not keep:
                    return

        return handle

    return make


def closes_before_reading(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    return handle


def reads_then_resets(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, 0 s: close sends RST
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return handle


def reads_then_closes(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)

    return handle


def reads_then_hangs(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await asyncio.sleep(30)

    return handle


def speaks_first(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not TLS")
        await writer.drain()

    return handle


def drips(server: Server) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    return handle


LYING: dict[str, tuple[Callable[[Server], Handler], str]] = {
    "accepts and closes before reading": (closes_before_reading, "disconnected|reset"),
    "reads and resets": (reads_then_resets, "reset|disconnected"),
    "reads and closes": (reads_then_closes, "disconnected"),
    "reads and hangs": (reads_then_hangs, "timeout"),
    "drips a byte at a time": (drips, "timeout"),
    "sends half a body": (
        answering(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"ok":', keep=False),
        "body_cut",
    ),
    "sends half a chunk": (
        answering(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"ok":', keep=False),
        "body_cut",
    ),
    "speaks no HTTP": (answering(b"220 mail.example ESMTP\r\n\r\n", keep=False), "unreadable_head"),
    "announces too large a body": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
        "body_too_large",
    ),
    "streams too large a body": (
        answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5000, keep=False),
        "body_too_large",
    ),
    "sends endless headers": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", keep=False),
        "unreadable_head",
    ),
}


def a_client(url: str, **options: Any) -> HttpClient:
    return HttpClient("peer", url, **{"timeout_s": 0.5, "max_body_bytes": 4096} | options)


@pytest.mark.parametrize("kind", LYING)
async def test_once_connected_a_failure_is_no_answer(kind: str) -> None:
    make, reason = LYING[kind]
    async with serving(make) as server, a_client(server.url, retries=3) as client:
        with pytest.raises(NoAnswer) as caught:
            await client.post("/charges", json={"amount_minor": 1})
        assert caught.value.reason in reason.split("|")
        assert server.connections == 1, "a POST that may have arrived was sent again"


async def test_a_refused_connection_is_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with a_client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(NotSent) as caught:
            await client.post("/charges", json={})
    assert caught.value.reason == "refused"


async def test_an_unknown_host_is_not_sent() -> None:
    async with a_client("http://no-such-host.invalid", timeout_s=5, connect_timeout_s=5) as client:
        with pytest.raises(NotSent):
            await client.post("/charges", json={})


async def test_a_failed_tls_handshake_is_not_sent() -> None:
    async with (
        serving(speaks_first) as server,
        a_client(server.url.replace("http:", "https:")) as client,
    ):
        with pytest.raises(NotSent) as caught:
            await client.post("/charges", json={})
    assert caught.value.reason == "tls"


async def test_waiting_for_a_free_connection_in_vain_is_not_sent() -> None:
    async with (
        serving(reads_then_hangs) as server,
        a_client(server.url, timeout_s=5, connect_timeout_s=0.1, connections_max=1) as client,
    ):
        holder = asyncio.create_task(client.post("/charges", json={}))
        await asyncio.sleep(0.05)
        with pytest.raises(NotSent) as caught:
            await client.post("/charges", json={})
        assert caught.value.reason == "connect_timeout"
        holder.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await holder


async def test_no_time_left_is_not_sent_and_opens_no_connection() -> None:
    async with serving(answering()) as server, a_client(server.url) as client:
        with pytest.raises(NotSent) as caught:
            await client.post("/charges", deadline=Deadline.after(-1))
        assert caught.value.reason == "deadline"
        assert server.connections == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
async def test_a_kept_connection_that_breaks_after_the_request_is_no_answer_and_never_sent_again(
    method: str,
) -> None:
    """aiohttp repeats GET, PUT and DELETE silently on such a connection: that is switched off."""

    def make(server: Server) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await writer.drain()
            await server.read_request(reader)  # the second request arrives and is lost

        return handle

    async with serving(make) as server, a_client(server.url) as client:
        assert (await client.request(method, "/1")).status == 200
        with pytest.raises(NoAnswer):
            await client.request(method, "/2")
        assert len(server.requests) == 2
        assert server.connections == 1


async def test_an_answer_of_any_status_is_an_answer() -> None:
    for status in (204, 302, 404, 409, 500, 503):
        raw = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n" % status
        async with serving(answering(raw)) as server, a_client(server.url, retries=2) as client:
            assert (await client.post("/charges")).status == status
            assert len(server.requests) == 1


async def test_a_body_that_is_no_json_is_no_answer() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>"
    async with serving(answering(raw)) as server, a_client(server.url) as client:
        response = await client.get("/")
        with pytest.raises(NoAnswer):
            response.json()


async def test_a_compressed_body_is_not_inflated() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    async with serving(answering(raw)) as server, a_client(server.url) as client:
        assert (await client.get("/")).body == b"abc"
        assert b"Accept-Encoding: identity" in server.requests[0]


async def test_a_request_carries_context_deadline_and_body() -> None:
    async with (
        serving(answering()) as server,
        a_client(server.url + "/card/", headers={"Authorization": "Bearer t"}) as client,
    ):
        traceparent = telemetry.new_traceparent()
        with telemetry.span("test", traceparent=traceparent), canonical.line("t", request_id="req_12345678"):
            response = await client.post(
                "/authorisations",
                json={"a": 1},
                params={"after": 5},
                headers={"Idempotency-Key": "k1"},
                deadline=Deadline.after(5),
            )
        assert response.json() == {"ok": True}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    rows = head.decode().split("\r\n")
    assert rows[0] == "POST /card/authorisations?after=5 HTTP/1.1"
    assert {
        f"traceparent: {traceparent}",
        "Idempotency-Key: k1",
        "Authorization: Bearer t",
        "X-Request-Id: req_12345678",
        "Content-Type: application/json",
    } <= set(rows)
    left_ms = int(next(row for row in rows if row.startswith("X-Deadline-Ms")).split(": ")[1])
    assert 4000 < left_ms <= 5000
    assert body == b'{"a":1}'


async def test_a_deadline_is_shorter_than_the_timeout_when_it_is_nearer() -> None:
    async with serving(reads_then_hangs) as server, a_client(server.url, timeout_s=30) as client:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            await client.post("/charges", deadline=Deadline.after(0.2))
        assert time.monotonic() - started < 2


async def test_a_cancelled_call_is_cancelled_and_its_connection_is_not_used_again() -> None:
    async with serving(reads_then_hangs) as server, a_client(server.url, timeout_s=30) as client:
        call = asyncio.create_task(client.post("/charges"))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(NoAnswer):
            await client.post("/charges", deadline=Deadline.after(0.2))
        assert server.connections == 2


async def test_what_was_not_sent_is_tried_again_whatever_the_method() -> None:
    refused = 2

    async with serving(answering()) as server, a_client(server.url, retries=3, retry_budget=1) as client:
        original = client._send

        async def flaky(*args: Any) -> Any:
            nonlocal refused
            if refused:
                refused -= 1
                raise NotSent("peer", "refused")
            return await original(*args)

        client._budget = RetryBudget(10)
        client._send = flaky  # type: ignore[method-assign, assignment]
        assert (await client.post("/charges")).status == 200
        assert len(server.requests) == 1


async def test_no_answer_is_tried_again_only_for_what_may_be_repeated() -> None:
    for method, idempotent, expected in [
        ("GET", None, 3),
        ("POST", None, 1),
        ("PUT", None, 1),
        ("POST", True, 3),
        ("GET", False, 1),
    ]:
        async with serving(reads_then_closes) as server, a_client(server.url, retries=2) as client:
            client._budget = RetryBudget(10)
            with pytest.raises(NoAnswer):
                await client.request(method, "/", idempotent=idempotent)
            assert server.connections == expected, (method, idempotent)


async def test_a_call_that_may_have_arrived_once_is_no_answer_even_if_the_last_try_was_refused() -> None:
    outcomes: list[CallFailed] = [NoAnswer("peer", "timeout"), NotSent("peer", "refused")]
    client = a_client("http://127.0.0.1:1", retries=1)
    client._budget = RetryBudget(10)

    async def scripted(*args: Any) -> Any:
        raise outcomes.pop(0)

    client._send = scripted  # type: ignore[method-assign, assignment]
    with pytest.raises(NoAnswer):
        await client.post("/charges", idempotent=True)
    assert outcomes == []


async def test_retries_stay_within_a_tenth_of_the_calls() -> None:
    async with serving(reads_then_closes) as server, a_client(server.url, retries=3) as client:
        for _ in range(100):
            with pytest.raises(NoAnswer):
                await client.get("/")
        assert 100 < server.connections <= 112  # 100 calls, a tenth, and the one to begin with


async def test_a_dead_peer_opens_the_breaker_and_one_probe_closes_it() -> None:
    now = 0.0
    breaker = Breaker("peer", open_s=5, now=lambda: now)
    healthy = False

    def make(server: Server) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            if healthy:
                writer.write(OK)
                await writer.drain()
                await asyncio.sleep(0.05)

        return handle

    async with serving(make) as server, a_client(server.url, breaker=breaker) as client:
        for _ in range(5):
            with pytest.raises(NoAnswer):
                await client.post("/charges")
        with pytest.raises(NotSent) as caught:
            await client.post("/charges")
        assert caught.value.reason == "breaker_open"
        assert server.connections == 5
        now = 5.0
        healthy = True
        assert (await client.post("/charges")).status == 200
        assert breaker.state is State.CLOSED


async def test_a_peer_that_answers_500_opens_the_breaker_and_one_that_answers_409_does_not() -> None:
    for status, state in ((500, State.OPEN), (409, State.CLOSED)):
        raw = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
        breaker = Breaker("peer")
        async with serving(answering(raw)) as server, a_client(server.url, breaker=breaker) as client:
            for _ in range(6):
                with contextlib.suppress(NotSent):
                    await client.post("/charges")
        assert breaker.state is state


async def test_a_caller_that_goes_away_does_not_hold_the_probe() -> None:
    now = 0.0
    breaker = Breaker("peer", now=lambda: now, calls_min=1)
    permit = breaker.acquire()
    assert permit is not None
    breaker.record(permit, ok=False)
    now = 10.0
    async with (
        serving(reads_then_hangs) as server,
        a_client(server.url, breaker=breaker, timeout_s=30) as client,
    ):
        call = asyncio.create_task(client.post("/charges"))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert breaker.state is State.HALF_OPEN, "a caller that went away says nothing of the peer"
    assert breaker.acquire() is not None
