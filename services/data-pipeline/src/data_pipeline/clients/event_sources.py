"""The producers' events APIs: gap repair for the consumers, and where each stream ends."""

from __future__ import annotations

from typing import Final

from platform_kit.http import CallFailed, HttpClient
from platform_kit.streams import Fetch, FetchFailed, events_api

PAYMENTS: Final = "events:payments"
RISK: Final = "events:risk"
STREAMS: Final = (PAYMENTS, RISK)

PAGE_MAX_BYTES: Final = 32 * 1024 * 1024  # 1,000 events of at most 32 kB
TIMEOUT_S: Final = 5.0
BEYOND_ALL: Final = 2**62  # asks for no event, only for the head


class EventSources:
    """One events API per stream."""

    def __init__(self, gateway_url: str, risk_url: str, token: str) -> None:
        urls = {PAYMENTS: ("gateway", gateway_url), RISK: ("risk", risk_url)}
        self._clients = {
            stream: HttpClient(
                name, url, timeout_s=TIMEOUT_S, retries=1, max_body_bytes=PAGE_MAX_BYTES, connections_max=4
            )
            for stream, (name, url) in urls.items()
        }
        self.fetch: dict[str, Fetch] = {
            stream: events_api(client, token) for stream, client in self._clients.items()
        }

    async def head(self, stream: str) -> int | None:
        """The highest position that exists; None when the producer does not say."""
        try:
            return (await self.fetch[stream](BEYOND_ALL, 1)).head
        except (CallFailed, FetchFailed):
            return None

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
