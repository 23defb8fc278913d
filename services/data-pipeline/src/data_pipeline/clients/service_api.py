"""The other services' HTTP APIs, asked in the name of an operator.

The console is a client like any other: what it shows of another service it asks for, and what a person does there is a
call that carries who the person is. The service writes that name into its own audit trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.domain.operators import Operator
from platform_kit.http import CallFailed, HttpClient, HttpResponse, NoAnswer

ACTING_FOR: Final = "Acting-For"
READ_TIMEOUT_S: Final = 2.0  # a page shows what it has without it
ACT_TIMEOUT_S: Final = 30.0  # an act may wait for a channel
DOOR_TIMEOUT_S: Final = 0.5  # a page asks several, and must not wait for one that hangs


class ServiceAway(Exception):
    """No usable answer. `may_be_done` says whether the act may have happened all the same."""

    def __init__(self, service: str, *, may_be_done: bool) -> None:
        super().__init__(f"{service} does not answer")
        self.service = service
        self.may_be_done = may_be_done


class ServiceRefused(Exception):
    """The service said no, in words (RFC 9457)."""

    def __init__(
        self, service: str, status: int, title: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(f"{service}: {status} {title}")
        self.service = service
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors  # what is wrong with which part of what was sent


@dataclass(frozen=True, slots=True)
class Door:
    """What a service says of itself: its version, None when it does not answer, and what keeps it from being ready."""

    service: str
    version: str | None
    failing: Mapping[str, str]


class ServiceApi:
    """One service, behind the internal token."""

    def __init__(self, name: str, base_url: str, token: str) -> None:
        self.name = name
        headers = {"Authorization": f"Bearer {token}"}
        self._reading = HttpClient(
            name, base_url, timeout_s=READ_TIMEOUT_S, retries=1, headers=headers, connections_max=8
        )
        self._acting = HttpClient(name, base_url, timeout_s=ACT_TIMEOUT_S, headers=headers, connections_max=8)

    async def get(self, path: str, operator: Operator, params: Mapping[str, str | int] | None = None) -> Any:
        """The answer's JSON. Raises ServiceAway or ServiceRefused."""
        headers = {ACTING_FOR: operator.name}
        try:
            return self._read(await self._reading.get(path, params=params, headers=headers))
        except CallFailed as error:
            raise ServiceAway(self.name, may_be_done=False) from error

    async def act(
        self, path: str, operator: Operator, body: Any = None, *, key: str | None = None, method: str = "POST"
    ) -> Any:
        """Do something there in the operator's name; `key` makes it safe to repeat. Raises as `get` does."""
        headers = {ACTING_FOR: operator.name} | ({"Idempotency-Key": key} if key else {})
        try:
            answered = await self._acting.request(method, path, json=body, headers=headers)
            return self._read(answered)
        except CallFailed as error:
            raise ServiceAway(self.name, may_be_done=isinstance(error, NoAnswer)) from error

    async def door(self) -> Door:
        """Never raises: no answer is one, too."""
        try:
            async with asyncio.timeout(DOOR_TIMEOUT_S):
                version = await self._reading.get("/version")
                ready = await self._reading.get("/health/ready")
            told = version.json() if version.status == 200 else {}
            failing = {} if ready.status == 200 else ready.json().get("failing", {"ready": str(ready.status)})
            return Door(self.name, told.get("version"), failing)
        except (CallFailed, TimeoutError, AttributeError):
            return Door(self.name, None, {})

    def _read(self, response: HttpResponse) -> Any:
        if response.status >= 500:
            raise ServiceAway(self.name, may_be_done=True)
        told = response.json() if response.body else None
        if response.status >= 400:
            words = told if isinstance(told, dict) else {}
            title = str(words.get("title", "The service refused"))
            errors = words.get("errors")
            raise ServiceRefused(
                self.name,
                response.status,
                title,
                str(words.get("detail", "")),
                errors if isinstance(errors, list) else (),
            )
        return told

    async def close(self) -> None:
        await self._reading.close()
        await self._acting.close()
