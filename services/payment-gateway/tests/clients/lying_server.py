"""A channel that breaks every rule: whatever bytes it is told to send, then what it is told to do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class LyingServer:
    """Answers each request with `say`; counts how many came."""

    say: Say
    url: str = ""
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                await self.say(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def run_lying_server(say: Say) -> AsyncIterator[LyingServer]:
    lying = LyingServer(say)
    server = await asyncio.start_server(lying.serve, "127.0.0.1", 0)
    lying.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield lying
    finally:
        server.close()


def answer(body: object, status: int = 200, **headers: str) -> Say:
    """A well-formed response; `body` is JSON unless it is bytes already."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(content)}",
        *(f"{n}: {v}" for n, v in headers.items()),
    ]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def raw(content: bytes) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    say.__name__ = content[:12].decode("latin-1") + content[-60:].decode(
        "latin-1"
    )  # what pytest calls the case
    return say


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_a_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"outcome":"succeeded",')
    await writer.drain()
    writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte at a time: each read makes progress, the answer never comes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    for _ in range(500):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()
