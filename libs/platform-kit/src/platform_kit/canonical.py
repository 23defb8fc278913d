"""One wide line per request and per task: what it was, how it ended, what it cost, which ids it touched.

    canonical.add(payment_id=payment.id, outcome="captured")        # anywhere below a request or a task

The fields are collected in a contextvar and written once, at the end. The idea is brandur's (Stripe's
canonical log lines); the price matters, because the money path does thousands a second: see
tests/test_canonical.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_kit import telemetry
from platform_kit.deadline import Deadline
from platform_kit.ids import new_id
from platform_kit.logging import get_logger, redact_text, write
from platform_kit.problems import Problem, render

UNMATCHED: Final = (
    "unmatched"  # one label for all paths that no route takes: scanners must not make metrics grow
)
QUIET: Final = ("/health/", "/metrics")
ANSWER_HEADERS: Final = "answer_headers"
"""Where in the scope a dependency puts headers for whatever the answer will be: pairs of bytes, names in lower case."""
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,64}").fullmatch

_line: ContextVar[dict[str, Any] | None] = ContextVar("canonical_line", default=None)
_deadline: ContextVar[Deadline | None] = ContextVar("request_deadline", default=None)

log = get_logger(__name__)


def add(**fields: Any) -> None:
    """Put fields on the line of the request or task that this code runs in; outside of one, do nothing."""
    line = _line.get()
    if line is not None:
        line.update(fields)


def increase(name: str, by: float = 1) -> None:
    """Add to a number on the line: retries, milliseconds in the database."""
    line = _line.get()
    if line is not None:
        line[name] = line.get(name, 0) + by


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the milliseconds of the block to field `name`, for example `timed("channel_ms")`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        increase(name, round((time.perf_counter() - started) * 1000, 3))


def get(name: str) -> Any:
    """A field of the line so far, or None."""
    line = _line.get()
    return None if line is None else line.get(name)


def ids() -> dict[str, Any]:
    """What ties another log line to this request or task."""
    line = _line.get()
    if line is None:
        return {}
    return {name: line[name] for name in ("request_id", "task_id", "task", "trace_id") if name in line}


def deadline() -> Deadline | None:
    """The deadline that the caller of this request gave (X-Deadline-Ms), if any."""
    return _deadline.get()


@contextmanager
def line(
    event: str, observe: Callable[[str, float], None] | None = None, **fields: Any
) -> Iterator[dict[str, Any]]:
    """The canonical line of a block that is no request: a task, a batch.

    The line is written when the block ends; `outcome` becomes "ok", "failed" or "cancelled" unless the block
    set it. `observe(outcome, seconds)` is where its metric goes.
    """
    collected = dict(fields)
    token = _line.set(collected)
    started = time.perf_counter()
    level = "info"
    try:
        yield collected
    except asyncio.CancelledError:
        collected.setdefault("outcome", "cancelled")
        raise
    except Exception as error:
        level = "error"
        collected["outcome"] = "failed"
        collected["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        _line.reset(token)
        seconds = time.perf_counter() - started
        outcome = collected.setdefault("outcome", "ok")
        collected["duration_ms"] = round(seconds * 1000, 3)
        if observe is not None:
            observe(outcome, seconds)
        write(level, event, collected)


class CanonicalLogMiddleware:
    """The outermost door of an application (pure ASGI): ids, timing, the line, the metrics, the last resort.

    - `X-Request-Id` is taken over when it is 8-64 characters of [A-Za-z0-9._:-], else made; it is echoed, and
      stands in `scope["request_id"]`. `traceparent` is continued or begun. Responses name `X-App-Version`.
    - An exception that nothing handled becomes a 500 problem here, with those headers; it is logged once.
    """

    def __init__(self, app: ASGIApp, *, service: str, version: str) -> None:
        self._app = app
        self._service = service
        self._version = (b"x-app-version", version.encode("latin-1", "replace"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id, parent, deadline = _read_headers(scope["headers"])
        traceparent = parent or telemetry.new_traceparent()
        scope["request_id"] = request_id
        added = ((b"x-request-id", request_id.encode()), self._version)
        status = 0
        size = 0

        async def send_with_ids(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added, *scope.get(ANSWER_HEADERS, ())]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        fields: dict[str, Any] = {"request_id": request_id, "trace_id": traceparent[3:35]}
        line_token = _line.set(fields)
        deadline_token = _deadline.set(deadline)
        trace_token = telemetry.enter_traceparent(traceparent)
        try:
            if telemetry.is_tracing():
                await self._traced(scope, receive, send_with_ids, parent, fields)
            else:
                await self._app(scope, receive, send_with_ids)
        except asyncio.CancelledError:
            fields["cancelled"] = True
            raise
        except Exception as error:
            fields["error"] = type(error).__name__
            log.exception("unhandled error", path=scope["path"])
            if status:
                raise  # the head is out: a cut connection is the only way left to say that this is no answer
            await render(Problem(), Request(scope))(scope, receive, send_with_ids)
        finally:
            telemetry.leave_traceparent(trace_token)
            _deadline.reset(deadline_token)
            _line.reset(line_token)
            _finish(scope, fields, status, size, time.perf_counter() - started)

    async def _traced(
        self, scope: Scope, receive: Receive, send: Send, parent: str | None, fields: dict[str, Any]
    ) -> None:
        with telemetry.span(scope["method"], "server", traceparent=parent) as span:
            current = telemetry.current_traceparent()
            if current is not None:
                fields["trace_id"] = current[3:35]
            await self._app(scope, receive, send)
            span.update_name(f"{scope['method']} {_route(scope)}")


def _read_headers(headers: list[tuple[bytes, bytes]]) -> tuple[str, str | None, Deadline | None]:
    """Request id, traceparent and deadline in one pass; the headers are few and lower case already (ASGI)."""
    request_id = traceparent = deadline = None
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"traceparent":
            traceparent = value
        elif name == b"x-deadline-ms":
            deadline = value
    return (
        _request_id(request_id),
        telemetry.valid_traceparent(traceparent.decode("latin-1")) if traceparent is not None else None,
        Deadline.from_header(deadline.decode("latin-1")) if deadline is not None else None,
    )


def _request_id(given: bytes | None) -> str:
    """The client's own id when it is sane and no card number, for it goes into every line and event; else a new one."""
    if given is not None and _SANE_ID(given):
        text = given.decode()
        if redact_text(text) == text:
            return text
    return new_id("req")


def _route(scope: Mapping[str, Any]) -> str:
    """The template of the route that took the request."""
    route = scope.get("route")
    return getattr(route, "path", UNMATCHED) if route is not None else UNMATCHED


def _finish(scope: Scope, fields: dict[str, Any], status: int, size: int, seconds: float) -> None:
    """Count the request and write its line; a probe that passed is counted, not written."""
    route = _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    telemetry.observe_request(route, method, status or 499, seconds)  # 499: the client left before an answer
    if status == 200 and scope["path"].startswith(QUIET):
        return
    head = {
        "method": method,
        "route": route,
        "status": status or 499,
        "duration_ms": round(seconds * 1000, 3),
        "response_bytes": size,
    }
    if route == UNMATCHED:
        head["path"] = scope["path"][:200]
    write("error" if status >= 500 else "info", "request", head | fields)
