"""How the simulators read a request and word an answer."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.running import Simulators
from payment_gateway.domain.cards import TEST_CARDS
from platform_kit.app import JsonResponse
from platform_kit.problems import InvalidRequest, MalformedJson, Unauthenticated


@dataclass(frozen=True, slots=True)
class Question:
    """A request that may move money."""

    key: str
    body: Mapping[str, Any]
    fingerprint: str

    def known(self, book: Book) -> Operation | None:
        """What this key did before. Raises KeyConflict when that was something else."""
        return rules.known(book, self.key, self.fingerprint)


async def question_of(request: Request) -> Question:
    """Raises MalformedJson, InvalidRequest."""
    body = without_card(await json_of(request))
    key = rules.checked_key(request.headers.get("idempotency-key"))
    return Question(key, body, rules.fingerprint_of(request.url.path, body))


def without_card(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A card becomes the test token that stands for it, at the door: neither the journal nor a fingerprint, which could
    be searched for the number, ever sees one. An unknown number is an unknown token."""
    card = body.get("card")
    if not isinstance(card, dict):
        return body
    known = TEST_CARDS.get(str(card.get("number")))
    rest = {name: value for name, value in body.items() if name != "card"}
    return {**rest, "token": known.token if known else "tok_no_such_card"}


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
    """This process as the caller reached it."""
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"


def answer(operation: Operation) -> Response:
    """200 for what was done or waits, 402 for what was refused."""
    return JsonResponse(operation.answer(), 402 if operation.outcome == "declined" else 200)


def not_processed(code: str) -> Response:
    """The one 503 that these channels document: nothing was done, the same key may try again."""
    return JsonResponse({"outcome": "not_processed", "code": code}, 503, {"Retry-After": "1"})
