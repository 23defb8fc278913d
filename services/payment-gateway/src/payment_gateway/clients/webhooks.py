"""Sends a webhook to a merchant's server: a stranger who may be slow, wrong or hostile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Self

import aiohttp

from payment_gateway.clients.egress import GuardedResolver, NotAllowed, check_url
from payment_gateway.domain.webhook import Answer
from platform_kit.logging import get_logger

CONNECTIONS_MAX: Final = 200
CONNECT_TIMEOUT_S: Final = 3.0
KEEP_ALIVE_S: Final = 15.0
RETRY_AFTER_LENGTH_MAX: Final = 64
USER_AGENT: Final = "payment-gateway-webhooks/1"

log = get_logger(__name__)


class WebhookSender:
    """One process's way out to merchants. Goes only where `egress` lets it, follows no redirect, speaks to no proxy.

    `timeout_s` bounds an attempt from the lookup to the end of the answer's head, however the bytes drip.
    `delivering` is held by the one delivery run of this process.
    """

    def __init__(self, *, timeout_s: float, allow_private: bool) -> None:
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None
        self.delivering = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One attempt. Never raises for anything that a receiver, its name or its network can do."""
        try:
            check_url(url, allow_private=self._allow_private)
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, headers, body)
        except NotAllowed as error:
            log.warning("webhook not sent", reason=str(error))
            return Answer(error="not-allowed")
        except TimeoutError:
            return Answer(error="timeout")
        except aiohttp.ClientConnectorDNSError as error:
            blocked = isinstance(error.os_error, NotAllowed)
            if blocked:
                log.warning("webhook not sent", reason=str(error.os_error))
            return Answer(error="not-allowed" if blocked else "unknown-host")
        except aiohttp.ClientSSLError:
            return Answer(error="tls")
        except aiohttp.ClientConnectorError:
            return Answer(error="refused")
        except (aiohttp.ClientError, OSError, ValueError):  # ValueError: a head that breaks HTTP's own rules
            return Answer(error="connection")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        session = self._session or self._open_session()
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            # The head alone decides. A body that came with it leaves the connection usable; one that is still to
            # come (a gigabyte, a byte a second) costs the receiver its connection and us nothing.
            retry_after = response.headers.get("Retry-After", "")[:RETRY_AFTER_LENGTH_MAX] or None
            return Answer(status=response.status, retry_after=retry_after)

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=GuardedResolver(allow_private=self._allow_private),
                use_dns_cache=False,  # every new connection is checked afresh
                limit=CONNECTIONS_MAX,
                keepalive_timeout=KEEP_ALIVE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        )
        return self._session
