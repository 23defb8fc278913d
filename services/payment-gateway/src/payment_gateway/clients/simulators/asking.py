"""How the simulators read a request and word an answer."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.card import redacted
from payment_gateway.clients.simulators.running import Simulators
from platform_kit.app import JsonResponse
from platform_kit.problems import InvalidRequest, MalformedJson, Unauthenticated

FAULT_LENGTH_MAX = 64
FAULT = re.compile(r"[a-z0-9:-]+")


@dataclass(frozen=True, slots=True)
class Question:
    """A request that may move money."""

    key: str
    body: Mapping[str, Any]
    fingerprint: str
    fault: str | None = None
    """The sandbox's order to get something wrong (`Sandbox-Fault`)."""

    def known(self, book: Book) -> Operation | None:
        """What this key did before. Raises KeyConflict when that was something else."""
        return rules.known(book, self.key, self.fingerprint)


async def question_of(request: Request) -> Question:
    """Raises MalformedJson, InvalidRequest."""
    body = redacted(await json_of(request))
    key = rules.checked_key(request.headers.get("idempotency-key"))
    return Question(key, body, rules.fingerprint_of(request.scope["path"], body), _fault_of(request))


def _fault_of(request: Request) -> str | None:
    words = request.headers.get("sandbox-fault")
    if words and (len(words) > FAULT_LENGTH_MAX or not FAULT.fullmatch(words)):
        raise InvalidRequest("Sandbox-Fault must be a word of docs/channels.md.")
    return words or None


async def json_of(request: Request) -> Mapping[str, Any]:
    """Raises MalformedJson, InvalidRequest."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise MalformedJson() from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def simulators_of(request: Request) -> Simulators:
    simulators: Simulators = request.app.state.deps
    return simulators


def operators_simulators_of(request: Request) -> Simulators:
    """Only the platform may read what the channels did. Raises Unauthenticated."""
    simulators = simulators_of(request)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    wanted = simulators.internal_token
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Unauthenticated()
    return simulators


def base_url(request: Request) -> str:
    """The channel as the caller reached it: `http://host:port/card`."""
    place = request.scope["path"].split("/")[1]
    return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}/{place}"


def answer(operation: Operation) -> Response:
    """200 for what was done or waits, 402 for what was refused."""
    return JsonResponse(operation.answer(), 402 if operation.outcome == "declined" else 200)


def not_processed(code: str) -> Response:
    """The one 503 that these channels document: nothing was done, the same key may try again."""
    return JsonResponse({"outcome": "not_processed", "code": code}, 503, {"Retry-After": "1"})
