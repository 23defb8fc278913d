"""A TCP proxy in front of Postgres that can swallow the answer of a COMMIT, as a failing network does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.engine import make_url

READ_BYTES = 64 * 1024


@dataclass
class CuttingProxy:
    """`cut_at` counts COMMITs down: at zero the server gets it, and its client never hears of it."""

    url: str = ""
    cut_at: int = 0
    cuts: int = 0

    def takes(self, sent: bytes) -> bool:
        """Whether the answer to what was sent is to be swallowed."""
        if self.cut_at == 0 or b"COMMIT" not in sent:
            return False
        self.cut_at -= 1
        return self.cut_at == 0


@asynccontextmanager
async def cutting_proxy(database_url: str) -> AsyncIterator[CuttingProxy]:
    """Pass everything on between a free port and the server of `database_url`."""
    behind, proxy = make_url(database_url), CuttingProxy()

    async def serve(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(behind.host, behind.port)
        back = asyncio.create_task(_pass_on(server, to_client))
        try:
            while sent := await client.read(READ_BYTES):
                if cut := proxy.takes(sent):
                    back.cancel()
                    await asyncio.wait([back])
                to_server.write(sent)
                await to_server.drain()
                if cut:
                    await server.read(READ_BYTES)  # committed: and nobody is told
                    proxy.cuts += 1
                    break
        except OSError:
            pass
        finally:
            back.cancel()
            to_client.close()
            to_server.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    proxy.url = behind.set(host=host, port=port).render_as_string(hide_password=False)
    try:
        yield proxy
    finally:
        listening.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while received := await source.read(READ_BYTES):
            sink.write(received)
            await sink.drain()
        sink.close()
    except OSError:
        sink.close()
