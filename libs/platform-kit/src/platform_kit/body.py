"""The JSON front door: one meaning for every byte sequence, in all services.

Python's and pydantic's parsers accept duplicate members (the last wins), NaN, lone surrogates and NUL, each of which
another parser reads differently or Postgres refuses later. Here they are refused once, before any code sees them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_kit.problems import (
    BodyTooLarge,
    DuplicateKey,
    EncodingNotSupported,
    MalformedJson,
    UnsupportedMediaType,
    render,
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

DISCARD_MAX_BYTES = 1024 * 1024  # of a body that is refused; who sends more is cut off
NESTING_MAX = 32  # deeper than any of our contracts; keeps hostile nesting from the recursive parser


def loads_strict(raw: bytes) -> Any:
    """Parse one JSON text (RFC 8259, I-JSON). Raises MalformedJson or DuplicateKey; never repeats the input."""
    if raw.count(b"[") + raw.count(b"{") > NESTING_MAX and _nesting(raw) > NESTING_MAX:
        raise MalformedJson(f"The body is nested deeper than {NESTING_MAX} levels.")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
        )
    except (ValueError, RecursionError):
        raise MalformedJson("The body is not one valid UTF-8 JSON text.") from None
    if b"\\u" in raw:  # only an escape can smuggle what strict UTF-8 decoding refuses
        _refuse_unstorable(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DuplicateKey(f"The member {name[:40]!r} appears twice in one object.")
    return result


def _refuse_constant(_name: str) -> NoReturn:
    raise MalformedJson("NaN and Infinity are not JSON.")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise MalformedJson("A number is too large.")
    return value


def _refuse_unstorable(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value or (not value.isascii() and _has_lone_surrogate(value)):
            raise MalformedJson("A text holds U+0000 or half of a surrogate pair.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _nesting(raw: bytes) -> int:
    """Greatest depth of brackets outside strings."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            in_string, escaped = byte != 0x22 or escaped, byte == 0x5C and not escaped
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


class StrictRoute(APIRoute):
    """A route whose JSON body passes the front door before FastAPI validates it.

    Use as `APIRouter(route_class=StrictRoute)`. FastAPI finds the parsed value in the request and parses no more.
    """

    def direct(self, handle: Handler) -> Handler:
        """What gets a request whose body has passed: FastAPI's `handle`, unless a busy route goes there by itself."""
        return handle

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        direct = self.direct(handle)

        async def handle_strictly(request: Request) -> Response:
            raw = await request.body()
            if not raw:  # a required body that is missing is FastAPI's to name
                return await handle(request)
            headers = request.headers
            if "content-encoding" in headers:
                raise EncodingNotSupported()
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise UnsupportedMediaType()
            request._json = loads_strict(raw)
            return await direct(request)

        return handle_strictly


class BodyLimitMiddleware:
    """Refuse a body of more than `max_bytes`, by its announced length or as soon as it grows beyond.

    FastAPI's own `max_body_size` does the same, but answers in plain text and replaces whatever we would say.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        """`larger` are the limits of the few paths that take more."""
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = self._larger.get(scope["path"], self._max_bytes)
        if _announced(scope) > max_bytes:
            await _discard(receive)
            await render(_too_large(max_bytes), Request(scope))(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                await _discard(receive, more=message.get("more_body", False))
                raise _too_large(max_bytes)
            return message

        await self._app(scope, receive_within_limit, send)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"At most {max_bytes} bytes are accepted.", headers={"Connection": "close"})


async def _discard(receive: Receive, more: bool = True) -> None:
    """Read on for a while and keep nothing: closing on unread bytes resets the connection, and the client would see
    that instead of our answer."""
    discarded = 0
    while more and discarded < DISCARD_MAX_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))
        more = message.get("more_body", False)


def _announced(scope: Scope) -> int:
    """The Content-Length, which the HTTP parser has checked to be a number; 0 for a chunked body."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
