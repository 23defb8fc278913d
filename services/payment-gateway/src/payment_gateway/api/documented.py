"""The refusals that the API documentation lists for each kind of route."""

from __future__ import annotations

from typing import Any

from platform_kit.problems import MEDIA_TYPE

_PROBLEM: dict[str, Any] = {
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status"],
                "properties": {
                    "type": {"type": "string", "examples": ["/problems/invalid-amount"]},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                    "request_id": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    }
}

Responses = dict[int | str, dict[str, Any]]


def _problems(**descriptions: str) -> Responses:
    return {int(status[1:]): {"description": text} | _PROBLEM for status, text in descriptions.items()}


READ: Responses = _problems(
    _400="malformed request or cursor",
    _401="no valid API key",
    _404="no such object of this merchant",
    _422="a parameter is not acceptable",
    _429="rate-limited: more than this key may send; see RateLimit, RateLimit-Policy and Retry-After",
)
WRITE: Responses = READ | _problems(_413="body too large", _415="not plain application/json")
MONEY: Responses = (
    WRITE
    | _problems(
        _409="invalid-state with `allowed`, operation-in-progress, or idempotency-in-progress; nothing moved",
        _503="no-channel, not-committed: nothing was done; commit-unknown: it may have been. Repeat the same key",
    )
    | {202: {"description": "not final yet: poll the object, or repeat the request with the same key"}}
)
CONFLICT: Responses = WRITE | _problems(
    _409="idempotency-in-progress, or the object's state does not admit it; nothing was written",
    _503="not-committed: nothing was written; commit-unknown: it may have been. Repeat the same key",
)
VAULT: Responses = CONFLICT | _problems(
    _422="invalid-card-number, test-cards-only, invalid-expiry, invalid-cvc, or a member that is not acceptable",
    _503="vault-closed, not-committed: nothing was written; commit-unknown: it may have been. Repeat the same key",
)
