"""The gateway as the command line sees it: one call, its answer, or a refusal in words."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from typing import Any

import aiohttp

from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.state import State

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=3)
TRIES_MAX = 4  # of a request whose answer was lost: always with the same key
PAUSE_S = 0.5


class Refused(Exception):
    """The gateway answered that it will not; `problem` is its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))


class NothingRuns(Exception):
    """There is no address, or nobody answers there."""


class Gateway:
    """One merchant's calls. Every POST has a key, and is repeated with it when its answer gets lost."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url, self._api_key = url.rstrip("/"), api_key

    @classmethod
    def from_environment(cls) -> "Gateway":
        """From GATEWAY_URL and DEMO_API_KEY, of the environment or of what `make up` started. Raises NothingRuns."""
        values = {**read_environment_file(State.default().environment_file), **os.environ}
        if "GATEWAY_URL" not in values or "DEMO_API_KEY" not in values:
            raise NothingRuns("Nothing runs here: `make up`, or set GATEWAY_URL and DEMO_API_KEY.")
        return cls(values["GATEWAY_URL"], values["DEMO_API_KEY"])

    def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        """The answer of a GET. Raises Refused, NothingRuns."""
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._call("GET", path, {"params": query})

    def post(self, path: str, body: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        """The answer of a POST under `key` (a new one by default). Raises Refused, NothingRuns."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._call("POST", path, {"json": given, "headers": {"Idempotency-Key": key or new_key()}})

    def _call(self, method: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        return asyncio.run(self._until_answered(method, path, request))

    async def _until_answered(self, method: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                return await self._once(method, path, request)
            except aiohttp.ClientConnectorError as error:
                raise NothingRuns(f"Nobody answers at {self.url}: is it up? `make up` starts it.") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == TRIES_MAX:
                    raise NothingRuns(f"{self.url} broke off {attempt} times.") from error
            except Refused as refused:
                if attempt == TRIES_MAX or not _is_worth_another_try(refused):
                    raise
            await asyncio.sleep(PAUSE_S * attempt)
        raise AssertionError("the last try returns or raises")

    async def _once(self, method: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._api_key}", **request.get("headers", {})}
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, self.url + path, **{**request, "headers": headers}) as reply,
        ):
            body: dict[str, Any] = await reply.json(content_type=None) if await reply.read() else {}
            if reply.status >= 400:
                raise Refused(reply.status, body)
            return body


def new_key() -> str:
    """A key for one act. Names nothing but itself."""
    return f"cli-{uuid.uuid1()}"


def _is_worth_another_try(refused: Refused) -> bool:
    code = str(refused.problem.get("type", ""))
    return refused.status in (502, 503, 504) or code.endswith("-in-progress")
