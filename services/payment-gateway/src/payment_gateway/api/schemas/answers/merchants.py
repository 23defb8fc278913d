"""Merchants, their keys, and the log of what was administered."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import SHOWN_ONCE, TIME, identifier, page, word
from payment_gateway.domain.audit import ACTORS
from payment_gateway.domain.scopes import SCOPES
from payment_gateway.domain.versions import VERSIONS
from payment_gateway.operations.cancel_key import ROUTES
from platform_kit.contract import ANYTHING, COUNT, TEXT, Schema, items, nullable, ref, shape, thing

_API_KEY: Final = {
    "id": identifier("key"),
    "name": nullable(TEXT),
    "hint": nullable(TEXT),
    "scopes": nullable(items(word(*sorted(SCOPES)))),
    "expires_at": nullable(TIME),
    "revoked_at": nullable(TIME),
    "last_used_at": nullable(TIME | {"description": "to the minute"}),
    "created_at": TIME,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "IdempotencyKey": thing(
        "idempotency_key",
        {
            "key": TEXT,
            "route": word(*ROUTES),
            "status": word("cancelled", "finished", "open"),
            "payment": nullable(ref("Payment")),
            "response": nullable(shape({"status": COUNT, "body": ANYTHING})),
        },
    ),
    "NewMerchant": shape(
        {"id": identifier("mer"), "name": TEXT, "country": TEXT, "api_key": SHOWN_ONCE},
    ),
    "Merchant": thing(
        "merchant",
        {
            "id": identifier("mer"),
            "name": TEXT,
            "country": TEXT,
            "mcc": nullable(TEXT | {"description": "ISO 18245"}),
            "api_version": word(*VERSIONS),
            "disabled_at": nullable(TIME),
            "created_at": TIME,
        },
    ),
    "MerchantPage": page("Merchant", "next_cursor"),
    "AuditEntry": thing(
        "audit_entry",
        {
            "id": identifier("aud"),
            "merchant_id": nullable(identifier("mer")),
            "actor": shape({"type": word(*ACTORS), "id": nullable(TEXT)})
            | {"description": "`id` is the key's; of an operator the name, told to the administrator alone"},
            "action": TEXT | {"examples": ["api_key.rotated"]},
            "object_id": TEXT,
            "details": ANYTHING,
            "request_id": nullable(TEXT),
            "created_at": TIME,
        },
    ),
    "AuditPage": page("AuditEntry", "next_cursor"),
    "ApiKey": thing("api_key", _API_KEY),
    "NewApiKey": thing("api_key", _API_KEY | {"api_key": SHOWN_ONCE}),
    "ApiKeyList": page("ApiKey"),
}
