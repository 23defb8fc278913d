"""One attempt at a stranger's server ends in time, whatever the stranger does, and never raises."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from lying_server import (
    Say,
    answer,
    drip,
    endless,
    half_a_body,
    hang_up,
    raw,
    reset,
    run_lying_server,
    silence,
)

from payment_gateway.clients.webhooks import WebhookSender
from payment_gateway.domain.webhook import Answer

pytestmark = pytest.mark.timing

TIMEOUT_S = 1.0


async def drip_head(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (answer(b""), Answer(status=200)),
        (answer(b"thanks", 204 + 2), Answer(status=206)),
        (answer(b"", 429, **{"Retry-After": "7"}), Answer(status=429, retry_after="7")),
        (answer(b"", 503, **{"Retry-After": "9" * 100}), Answer(status=503, retry_after="9" * 64)),
        (answer(b"no", 500), Answer(status=500)),
        (half_a_body, Answer(status=200)),
        (drip, Answer(status=200)),
        (endless, Answer(status=200)),
        (silence, Answer(error="timeout")),
        (drip_head, Answer(error="timeout")),
        (hang_up, Answer(error="connection")),
        (reset, Answer(error="connection")),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), Answer(error="connection")),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), Answer(error="connection")),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Answer(error="connection")),
        (raw(b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), Answer(status=999)),
    ],
)
async def test_what_a_server_does_becomes_an_answer_in_time(say: Say, expected: Answer) -> None:
    started = time.monotonic()
    async with (
        run_lying_server(say) as server,
        WebhookSender(timeout_s=TIMEOUT_S, allow_private=True) as sender,
    ):
        assert await sender.send(server.url, {}, b"{}") == expected
    assert time.monotonic() - started < TIMEOUT_S + 3


async def test_a_name_that_nobody_knows_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_known(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", not_known)
    async with WebhookSender(timeout_s=TIMEOUT_S, allow_private=True) as sender:
        assert await sender.send("http://hooks.example.com/", {}, b"{}") == Answer(error="unknown-host")


async def test_nobody_there_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with WebhookSender(timeout_s=TIMEOUT_S, allow_private=True) as sender:
        assert await sender.send(f"http://127.0.0.1:{port}/", {}, b"{}") == Answer(error="refused")
        assert await sender.send(f"https://127.0.0.1:{port}/", {}, b"{}") == Answer(error="refused")


async def test_a_server_that_cannot_speak_tls_is_told_apart() -> None:
    async def speak_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_first, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with WebhookSender(timeout_s=2, allow_private=True) as sender:
            assert await sender.send(url, {}, b"{}") == Answer(error="tls")


async def test_it_sends_the_body_as_signed_and_says_who_it_is() -> None:
    async with (
        run_lying_server(answer(b"")) as server,
        WebhookSender(timeout_s=2, allow_private=True) as sender,
    ):
        await sender.send(f"{server.url}/hook?a=1", {"webhook-id": "evt_1"}, b'{"a": "\xc3\xa9"}')
        request = server.requests[0]
    assert request.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert b"webhook-id: evt_1\r\n" in request
    assert b"User-Agent: payment-gateway-webhooks/1" in request
    assert request.endswith(b'\r\n\r\n{"a": "\xc3\xa9"}')


async def test_a_connection_serves_the_next_delivery_too() -> None:
    ports: set[int] = set()

    async def note_port(writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        await answer(b"ok")(writer)

    async with (
        run_lying_server(note_port) as server,
        WebhookSender(timeout_s=2, allow_private=True) as sender,
    ):
        for _ in range(3):
            assert (await sender.send(server.url, {}, b"{}")).status == 200
    assert len(ports) == 1
