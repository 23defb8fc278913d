"""The dated version of the API, at its edge: which one a request is answered in, and the answer in its shape.

Header, or else the version to which the merchant is pinned. The newest costs a look at the headers; for an older one an
answer that holds what has changed since is parsed again and shown as it was (domain/versions).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.patience import answered_later
from payment_gateway.api.personal_data import opened
from payment_gateway.domain.versions import CURRENT, VERSION_HEADER, VERSIONS, may_differ, shown_at
from platform_kit.body import StrictRoute
from platform_kit.canonical import ANSWER_HEADERS
from platform_kit.idempotency import KeyInProgress
from platform_kit.problems import Problem

_NAME: Final = VERSION_HEADER.lower().encode()
_VERSION: Final = "api_version"
"""In the scope: the version of this request's answer. Only native routes have it."""
_IS_ASKED: Final = "api_version_asked"
_ANSWER: Final = {version: (_NAME, version.encode()) for version in VERSIONS}
_BY_VALUE: Final = {version.encode(): version for version in VERSIONS}
FINGERPRINTED_BARE: Final = "2026-11-26"
"""Keys were stored before versions were asked for: this one's fingerprints stay as they were."""


class UnknownVersion(Problem):
    status, code, title = 400, "unknown-api-version", "There is no such version of this API"

    def __init__(self) -> None:
        super().__init__(
            f"Send one {VERSION_HEADER}: {', '.join(VERSIONS)}; or none.", versions=list(VERSIONS)
        )


class VersionedRoute(StrictRoute):
    """A native route: what it answers leaves in the version that was asked for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_at_version(request: Request) -> Response:
            scope = request.scope
            asked = _asked(scope["headers"])
            version = scope[_VERSION] = asked or CURRENT
            scope[_IS_ASKED] = asked is not None
            scope[ANSWER_HEADERS] = (_ANSWER[version],)
            try:
                answered = await handle(request)
            except KeyInProgress as refused:
                answered = await answered_later(request, handle, refused)
            response = await opened(request, answered)
            version = scope[_VERSION]
            return response if version == CURRENT else _shown(response, version)

        return handle_at_version


def answer_headers(scope: MutableMapping[str, Any], pinned: str) -> tuple[tuple[bytes, bytes], ...]:
    """The header that names the version: the pinned one, unless the request asked for another. None on the facade."""
    version = scope.get(_VERSION)
    if version is None:
        return ()
    if not scope[_IS_ASKED]:
        version = scope[_VERSION] = pinned
    return (_ANSWER[version],)


def keyed_path(request: Request) -> str:
    """What an idempotency key is tied to beside the body: the path, and the version that the request asks for. Not the
    pinned one: when that changes, who repeats a request has changed nothing and must learn what came of it."""
    version, path = request.scope[_VERSION], str(request.scope["path"])
    is_bare = version == FINGERPRINTED_BARE or not request.scope[_IS_ASKED]
    return path if is_bare else f"{version} {path}"


def _asked(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The version that the header names; None without one. Raises UnknownVersion, also for two headers."""
    found = None
    for name, value in headers:
        if name == _NAME:
            if found is not None or value not in _BY_VALUE:
                raise UnknownVersion()
            found = _BY_VALUE[value]
    return found


def _shown(response: Response, version: str) -> Response:
    """The answer in an older shape; a refusal has one shape in all versions."""
    if response.media_type == "application/json" and may_differ(version, bytes(response.body)):
        response.body = orjson.dumps(shown_at(version, orjson.loads(response.body)))
        response.headers["content-length"] = str(len(response.body))
    return response
