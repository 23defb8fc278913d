"""Ways to tell people: a webhook signed as Standard Webhooks, e-mail and chat by Apprise; and the dead-man's URL.

Every attempt ends within TIMEOUT_S, whatever the receiver does. What failed is told by a word of ours: addresses
hold passwords, so neither they nor what a library says about them is logged or stored.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from risk_engine.domain.alert_kinds import Severity
from risk_engine.domain.alert_message import body_of, title_of
from risk_engine.domain.escalation import LEVEL_MAX

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 3.0
THREADS_PER_CHANNEL: Final = (
    2  # of Apprise, which blocks: a receiver that hangs holds its own two and no others
)
CHANNELS_MAX: Final = 50
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the public mark of a secret, not one
USER_AGENT: Final = "risk-engine-alerts/1"


# Apprise's words: they choose the colour and the sign in front of a message.
_TYPES: Final = {"critical": "failure", "warning": "warning", "info": "info"}


class InvalidChannels(ValueError):
    """RISK_ALERT_CHANNELS is not what it should be; the text says where, and never a value."""


class Channel(BaseModel):
    """One way to tell somebody. It hears of alerts of its `severities`, from escalation `level` on."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    kind: Literal["webhook", "apprise"]
    url: SecretStr
    secret: SecretStr = SecretStr("")
    severities: tuple[Severity, ...] = tuple(Severity)
    level: Annotated[int, Field(ge=0, le=LEVEL_MAX)] = 0

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        scheme = urlsplit(self.url.get_secret_value()).scheme
        if self.kind == "webhook":
            if scheme not in ("http", "https"):
                raise ValueError("the url of a webhook begins with https://")
            if len(key_of(self.secret.get_secret_value())) < 24:
                raise ValueError("secret: whsec_ and the base64 of 24 bytes or more")
        elif not scheme:
            raise ValueError("the url is one of Apprise's, such as mailtos://…")
        return self

    def wants(self, severity: str, level: int) -> bool:
        """Whether it hears of an alert of this severity that has come to this level."""
        return severity in self.severities and level >= self.level


_CHANNELS = TypeAdapter(tuple[Channel, ...])


def read_channels(source: SecretStr) -> tuple[Channel, ...]:
    """The channels of RISK_ALERT_CHANNELS, a JSON list. Raises InvalidChannels."""
    try:
        channels = _CHANNELS.validate_json(source.get_secret_value() or "[]")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = "/".join(map(str, first["loc"])) or "the list"
        raise InvalidChannels(f"RISK_ALERT_CHANNELS: {where}: {first['msg']}") from None
    names = [one.name for one in channels]
    if len(set(names)) < len(names) or len(names) > CHANNELS_MAX:
        raise InvalidChannels(f"RISK_ALERT_CHANNELS: names must differ, and be {CHANNELS_MAX} at most")
    return channels


class AlertSender:
    """One process's way out to the channels. Opens nothing before the first message."""

    def __init__(self, channels: Sequence[Channel], *, timeout_s: float = TIMEOUT_S) -> None:
        self._channels = {one.name: one for one in channels}
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
        for threads in self._threads.values():  # their sockets time out by themselves
            threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, channel: str, message_id: str, at_s: int, message: Mapping[str, Any]) -> str | None:
        """One attempt; None when the channel took it, or why not in a word. Never raises for what a receiver does."""
        one = self._channels[channel]
        threads = None if one.kind == "webhook" else await self._threads_of(one)
        try:
            async with asyncio.timeout(self._timeout_s):
                if threads is None:
                    return await self._post(one, message_id, at_s, message)
                url, loop = one.url.get_secret_value(), asyncio.get_running_loop()
                return await loop.run_in_executor(threads, _notify, url, message, self._timeout_s)
        except TimeoutError:
            return "timeout"

    async def ping(self, url: str) -> str | None:
        """Tell a dead-man's switch that we live; None when it took note."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._request("GET", url, b"", {})
        except TimeoutError:
            return "timeout"

    async def _post(self, one: Channel, message_id: str, at_s: int, message: Mapping[str, Any]) -> str | None:
        body = orjson.dumps(message)
        headers = signed_headers(one.secret.get_secret_value(), message_id, at_s, body)
        headers["Content-Type"] = "application/json"
        return await self._request("POST", one.url.get_secret_value(), body, headers)

    async def _request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> str | None:
        session = self._session or self._open_session()
        try:
            async with session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                return None if 200 <= answer.status < 300 else f"status-{answer.status}"
        except aiohttp.ClientSSLError:
            return "tls"
        except aiohttp.ClientConnectorDNSError:
            return "unknown-host"
        except aiohttp.ClientConnectorError:
            return "refused"
        except (aiohttp.ClientError, OSError, ValueError):
            return "connection"

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        )
        return self._session

    async def _threads_of(self, one: Channel) -> ThreadPoolExecutor:
        """The channel's own threads. Apprise takes a second to import: before the attempt, and not in this loop."""
        await asyncio.to_thread(_load_apprise)
        if one.name not in self._threads:
            self._threads[one.name] = ThreadPoolExecutor(THREADS_PER_CHANNEL, f"alerts {one.name}")
        return self._threads[one.name]


@cache
def _load_apprise() -> Any:
    for name, level in (("apprise", logging.CRITICAL + 1), ("urllib3", logging.ERROR)):
        logging.getLogger(name).setLevel(level)  # their lines name addresses
    from apprise import Apprise  # only a worker that has such a channel pays for it

    Apprise.instantiate("json://localhost")  # reads all its plugins
    return Apprise


def _notify(url: str, message: Mapping[str, Any], timeout_s: float) -> str | None:
    """In a thread: Apprise blocks, for as long as its sockets may take."""
    severity = message["data"]["severity"]
    try:
        plugin = _load_apprise().instantiate(url, suppress_exceptions=True)
        if plugin is None:
            return "not-an-apprise-url"
        plugin.socket_connect_timeout = min(CONNECT_TIMEOUT_S, timeout_s)
        plugin.socket_read_timeout = timeout_s
        took = plugin.notify(
            title=title_of(message),
            body=body_of(message),
            notify_type=_TYPES[severity],
            body_format="text",
        )
    except Exception as error:  # a plugin's bug: its text may hold the address
        return f"failed-{type(error).__name__}"
    return None if took else "not-taken"


def signed_headers(secret: str, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`. The id stays over all attempts."""
    mac = hmac.new(key_of(secret), f"{message_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_…`; empty when it is none."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""
