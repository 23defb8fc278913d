"""The gateway as the command line sees it: one call, its answer, or a refusal in words."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.state import State
from platform_kit.ids import new_id

TIMEOUT = aiohttp.ClientTimeout(total=120, connect=3, sock_read=30)  # the ledger is verified row by row
TRIES_MAX = 4  # of a request whose answer was lost: always with the same key
API_VERSION = "2026-11-27"  # what these commands read, whatever version the merchant is pinned to
PAUSE_S = 0.5
PAUSE_MAX_S = 10.0


class Refused(Exception):
    """The gateway answered that it will not; `problem` is its problem document.

    `open_key` is the key of a request of which the gateway did not say how it ended: only this key may repeat it.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.status, self.problem, self.retry_after_s = status, problem, retry_after_s
        self.open_key: str | None = None
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))


class NothingRuns(Exception):
    """There is no address, or nobody answers there. Nothing was done."""


class NoAnswer(Exception):
    """The request may have been carried out: its answer got lost. `key` repeats it without doing it twice."""

    def __init__(self, url: str, key: str | None) -> None:
        self.key = key
        super().__init__(f"{url} did not answer.")


class LeftOpen(KeyboardInterrupt):
    """Ctrl-C while a request with `key` was on its way: it may have been carried out."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__()


class Gateway:
    """One caller's calls; `say` is told what a person who waits should know.

    A POST that moves money has a key, and is repeated with it when its answer gets lost.
    """

    def __init__(self, url: str, api_key: str, say: Callable[[str], None] = lambda _: None) -> None:
        self.url, self._api_key, self._say = url.rstrip("/"), api_key, say

    @classmethod
    def from_environment(cls, say: Callable[[str], None], key_name: str = "DEMO_API_KEY") -> "Gateway":
        """From GATEWAY_URL and the named key, of the environment or of what `make up` started. Raises NothingRuns."""
        values = {**read_environment_file(State.default().environment_file), **os.environ}
        if not values.get("GATEWAY_URL") or not values.get(key_name):
            raise NothingRuns(f"Nothing runs here: `make up`, or set GATEWAY_URL and {key_name}.")
        return cls(values["GATEWAY_URL"], values[key_name], say)

    def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        """The answer of a GET. Raises Refused, NothingRuns, NoAnswer."""
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return asyncio.run(self._until_answered("GET", path, {"params": query}, tries_max=TRIES_MAX))

    def post(self, path: str, body: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        """The answer of a POST under `key` (a new one by default). Raises Refused, NothingRuns, NoAnswer, LeftOpen."""
        key = key or new_key()
        request = {"json": _given(body), "headers": {"Idempotency-Key": key}}
        try:
            return asyncio.run(self._until_answered("POST", path, request, tries_max=TRIES_MAX))
        except NoAnswer as lost:
            raise NoAnswer(self.url, key) from lost
        except Refused as refused:
            refused.open_key = key if _is_undecided(refused) else None
            raise
        except KeyboardInterrupt:
            raise LeftOpen(key) from None

    def change(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A call of a route that takes no key: asked once, for asked twice it would be done twice."""
        request = {"json": _given(body), "headers": dict(headers or {})}
        return asyncio.run(self._until_answered(method, path, request, tries_max=1))

    @property
    def _nobody(self) -> NothingRuns:
        return NothingRuns(f"Nobody answers at {self.url}: is it up? `make up` starts it.")

    async def _until_answered(
        self, method: str, path: str, request: dict[str, Any], tries_max: int
    ) -> dict[str, Any]:
        may_have_arrived = False
        for attempt in range(1, tries_max + 1):
            pause = PAUSE_S * attempt
            try:
                return await self._once(method, path, request)
            except aiohttp.InvalidURL as error:
                raise NothingRuns(f"GATEWAY_URL is no address: {self.url}") from error
            except aiohttp.ClientConnectorError as error:
                if not may_have_arrived:
                    raise self._nobody from error
                if attempt == tries_max:
                    raise NoAnswer(self.url, None) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                may_have_arrived = True
                if attempt == tries_max:
                    raise NoAnswer(self.url, None) from error
            except Refused as refused:
                if attempt == tries_max or not _says_later(refused):
                    raise
                pause = min(refused.retry_after_s or pause, PAUSE_MAX_S)
            with_key = " with the same key" if method == "POST" else ""
            self._say(f"no answer yet: asking again{with_key} ({attempt + 1} of {tries_max})")
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, method: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Platform-Version": API_VERSION,
            **request.get("headers", {}),
        }
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, self.url + path, **{**request, "headers": headers}) as reply,
        ):
            body = _object(await reply.read())
            if reply.status >= 400:
                raise Refused(reply.status, body or {}, _seconds(reply.headers.get("Retry-After")))
            if body is None:
                raise NothingRuns(f"What answers at {self.url} is not the gateway.")
            return body


def new_key() -> str:
    """A key for one act. Names nothing but itself."""
    return new_id("cli")


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`; None when it is something else, such as a proxy's page."""
    try:
        parsed = json.loads(raw or b"{}")
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _says_later(refused: Refused) -> bool:
    """Whether the gateway has not decided yet: it is busy, or another request is at work."""
    code = str(refused.problem.get("type", ""))
    return refused.status == 429 or refused.status >= 500 or code.endswith("-in-progress")


def _is_undecided(refused: Refused) -> bool:
    """Whether the act may have happened, or may yet."""
    code = str(refused.problem.get("type", ""))
    return refused.status >= 500 or code.endswith("idempotency-in-progress")
