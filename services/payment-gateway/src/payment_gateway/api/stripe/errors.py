"""Refusals in Stripe's envelope, with the statuses that the official client acts on (payments.md 7).

A native 422 or 409 becomes a 400 here: the client takes a 422 for a bug of the server, and repeats a 409 by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from platform_kit.problems import Problem

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
INVALID_CURRENCY: Final = (
    "Invalid currency: one of ISO 4217's codes of three letters, such as eur, usd or jpy."
)
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
    code = _exhausted(body) or _CODES.get(slug)
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


def unexpected_state(
    body: Mapping[str, Any], kind: str, shown: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """The envelope for an act that the state of an intent does not admit. The intent is inside, as it now stands: its
    status says what can be done."""
    return envelope(400, body, headers, **{"code": f"{kind}_unexpected_state", kind: shown})


def _exhausted(body: Mapping[str, Any]) -> str | None:
    """Of a refund: why nothing of its charge is left to give back."""
    if body.get("remaining_minor") != 0 or "refunded_minor" not in body:
        return None
    return "charge_disputed" if body.get("disputed_minor") else "charge_already_refunded"


def card_error(intent: Mapping[str, Any]) -> Response:
    """402 for a payment that was declined: the intent is inside, as it now stands."""
    error = dict(intent["last_payment_error"] or {})
    error |= {"payment_intent": intent, "charge": intent.get("latest_charge")}
    return Response(orjson.dumps({"error": error}), 402, None, "application/json")


def _param(pointer: str) -> str | None:
    first, *rest = [part for part in pointer.split("/") if part] or [""]
    return first + "".join(f"[{part}]" for part in rest) or None
