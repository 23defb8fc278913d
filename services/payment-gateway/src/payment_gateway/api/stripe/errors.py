"""Refusals in Stripe's envelope, with the statuses that the official client acts on (payments.md 7).

A native 422 or 409 becomes a 400 here: the client takes a 422 for a bug of the server, and repeats a 409 by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.personal_data import opened
from payment_gateway.domain.stripe_objects import API_VERSION
from platform_kit.ids import new_id
from platform_kit.problems import Problem

VERSION_HEADER: Final = "Stripe-Version"
VERSION_LENGTH_MAX: Final = 40

_TYPES: Final[Mapping[int, tuple[int, str]]] = {
    400: (400, "invalid_request_error"),
    401: (401, "invalid_request_error"),
    403: (403, "invalid_request_error"),
    404: (404, "invalid_request_error"),
    409: (400, "invalid_request_error"),
    413: (400, "invalid_request_error"),
    415: (400, "invalid_request_error"),
    422: (400, "invalid_request_error"),
    429: (429, "invalid_request_error"),
}
_CODES: Final = {
    "amount-exceeds-remaining": "amount_too_large",
    "idempotency-in-progress": "idempotency_key_in_use",
    "invalid-state": "payment_intent_unexpected_state",
    "not-found": "resource_missing",
    "operation-in-progress": "lock_timeout",
    "rate-limited": "rate_limit",
    "missing-field": "parameter_missing",
    "unknown-field": "parameter_unknown",
    "insufficient-funds": "balance_insufficient",
    "unsupported-currency": "invalid_currency",
    "invalid-amount": "parameter_invalid_integer",
    "invalid-card-number": "incorrect_number",
}
_CARD_ERRORS: Final = frozenset({"incorrect_number"})
"""Refusals of a card before anybody was asked: a CardError for the client all the same."""


class InvalidParameter(Problem):
    """A parameter that this endpoint does not take. `param` is its name in the wire form."""

    status, code, title = 400, "invalid-parameter", "A parameter is not acceptable"

    def __init__(self, detail: str, param: str | None, stripe_code: str | None = None) -> None:
        super().__init__(detail)
        self.param, self.stripe_code = param, stripe_code


def envelope(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """The answer for a native problem `body`."""
    slug = str(body.get("type", "")).rpartition("/")[2]
    code = _CODES.get(slug)
    if slug == "idempotency-key-reuse":
        status, kind, code = 400, "idempotency_error", None
    elif slug == "idempotency-in-progress":
        status, kind = 409, "idempotency_error"
    elif slug == "operation-in-progress":
        status, kind = 429, "invalid_request_error"
        headers = {**(headers or {}), "Stripe-Should-Retry": "true"}
    elif code in _CARD_ERRORS:
        status, kind = 402, "card_error"
    else:
        status, kind = _TYPES.get(status, (status, "api_error"))
    error = {"type": kind, "code": code, "message": body.get("detail") or body.get("title")} | members
    if "param" not in error and body.get("errors"):
        error["param"] = _param(str(body["errors"][0].get("pointer", "")))
    error = {name: value for name, value in error.items() if value is not None}
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return Response(orjson.dumps({"error": error}), status, kept, "application/json")


def card_error(intent: Mapping[str, Any]) -> Response:
    """402 for a payment that was declined: the intent is inside, as it now stands."""
    error = dict(intent["last_payment_error"] or {})
    error |= {"payment_intent": intent, "charge": intent.get("latest_charge")}
    return Response(orjson.dumps({"error": error}), 402, None, "application/json")


def _param(pointer: str) -> str | None:
    first, *rest = [part for part in pointer.split("/") if part] or [""]
    return first + "".join(f"[{part}]" for part in rest) or None


class StripeRoute(APIRoute):
    """A route whose refusals, of whatever origin, leave in Stripe's envelope, and whose answers carry its headers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_envelope(request: Request) -> Response:
            try:
                response = await opened(request, await handle(request))
            except InvalidParameter as error:
                members = {"param": error.param, "code": error.stripe_code}
                response = envelope(400, error.body(None, None), None, **members)
            except Problem as problem:
                response = envelope(problem.status, problem.body(None, None), problem.headers)
            except RequestValidationError:
                response = envelope(400, {"detail": "The request is not understood."})
            except HTTPException as error:
                response = envelope(error.status_code, {"detail": error.detail}, error.headers)
            response.headers["Request-Id"] = str(request.scope.get("request_id") or new_id("req"))
            response.headers[VERSION_HEADER] = _version(request)
            return response

        return handle_in_envelope


def _version(request: Request) -> str:
    """Any dated version is accepted and named again: ours is one shape."""
    asked = request.headers.get(VERSION_HEADER, "")
    fits = 0 < len(asked) <= VERSION_LENGTH_MAX and asked.isascii() and asked.isprintable()
    return asked if fits else API_VERSION
