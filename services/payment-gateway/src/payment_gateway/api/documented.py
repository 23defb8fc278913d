"""What the API documentation says of each kind of route: its refusals by slug, and who may call."""

from __future__ import annotations

from typing import Any, Final

from payment_gateway.api.access import caller_of, operator_of, require_admin, require_internal
from payment_gateway.api.schemas.answers import SCHEMAS
from payment_gateway.api.schemas.answers.links import LINKS
from payment_gateway.domain.versions import CURRENT, VERSION_HEADER
from platform_kit import contract
from platform_kit.contract import AllRoutes, Contract, Guard, Responses, problems

READ: Responses = problems(
    {
        400: "malformed-json, invalid-cursor",
        404: "not-found: no such object of this merchant",
        422: "a parameter is not acceptable",
    }
)
WRITE: Responses = READ | problems(
    {
        400: "malformed-json, duplicate-key, idempotency-key-missing, idempotency-key-invalid",
        413: "body-too-large",
        415: "unsupported-media-type, encoding-not-supported",
        422: "idempotency-key-reuse, invalid-request, unknown-field, missing-field, and others that name a member",
    }
)
_COMMITS = (
    "not-committed, database-unavailable: nothing was written; commit-unknown: it may have been. "
    "Repeat the same key"
)
MONEY: Responses = WRITE | problems(
    {
        409: "invalid-state with `allowed`, operation-in-progress, or idempotency-in-progress; nothing moved",
        422: "as above, and channel-refused, amount-exceeds-remaining, insufficient-funds, card-data-not-allowed, …",
        503: f"no-channel: nothing was done; {_COMMITS}",
    }
)
CONFLICT: Responses = WRITE | problems(
    {
        409: "idempotency-in-progress, or the object's state does not admit it; nothing was written",
        503: _COMMITS,
    }
)
VAULT: Responses = CONFLICT | problems(
    {
        422: "invalid-card-number, test-cards-only, invalid-expiry, invalid-cvc, or a member that is not acceptable",
        503: f"vault-closed or vault-key-missing: nothing was written; {_COMMITS}",
    }
)
KEYED: Final[dict[str, Any]] = {
    "parameters": [
        *contract.KEYED["parameters"],
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "`wait=2`: wait so many seconds, at most 10, for a request at work under the same key, "
            "instead of a 409; the answer then has `Preference-Applied`. Anything else is ignored (RFC 7240).",
            "schema": {"type": "string"},
            "example": "wait=2",
        },
    ]
}
"""`openapi_extra` of a route that acts under an idempotency key, which may be waited for (api/patience.py)."""
_GUESSED = {429: "rate-limited: too many wrong keys came from this address"}

CONTRACT = Contract(
    guards={
        caller_of: Guard(
            "merchantKey",
            "A merchant's API key.",
            {
                403: "insufficient-scope: this key may not do that; merchant-disabled",
                429: "rate-limited: more than this key may send; see RateLimit and RateLimit-Policy",
            },
        ),
        require_admin: Guard("administratorKey", "The administrator's key, ADMIN_API_KEY.", _GUESSED),
        require_internal: Guard(
            "internalToken", "The token that the platform's own services share.", _GUESSED
        ),
        operator_of: Guard(
            "internalToken",
            "The token that the platform's own services share.",
            _GUESSED | {403: "nobody-named: the header `Acting-For` must name the operator"},
        ),
    },
    schemas=SCHEMAS,
    links=LINKS,
    everywhere=AllRoutes(
        prefix="/v1/",
        header=VERSION_HEADER,
        description="The version of the answer; without it, the one to which the merchant is pinned. "
        "This document shows the newest.",
        schema={"type": "string", "enum": [CURRENT]},
        refusals={
            400: "unknown-api-version: `versions` lists what there is",
            503: "overloaded: nothing was done, send it again shortly",
        },
    ),
)
