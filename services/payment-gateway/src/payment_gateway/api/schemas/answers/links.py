"""From what an answer holds to the operations that take it, by operation id (OpenAPI links)."""

from __future__ import annotations

from typing import Final

from platform_kit.contract import Links


def _by_id(parameter: str, *operations: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(operations, (parameter, "/id"))


LINKS: Final[Links] = {
    "Payment": _by_id(
        "payment_id",
        *(
            f"payments_{act}"
            for act in ("get", "update", "confirm", "cancel", "capture", "void", "refund", "list_refunds_of")
        ),
    ),
    "Refund": _by_id("refund_id", "refunds_get"),
    "Suspense": _by_id("item_id", "suspense_resolve"),
    "Payout": _by_id("payout_id", "balance_get", "balance_cancel"),
    "StoredCustomer": _by_id("customer_id", "customers_get", "customers_update", "customers_delete"),
    "Erasure": _by_id("erasure_id", "erasures_get"),
    "PaymentMethod": _by_id(
        "payment_method_id", *(f"payment_methods_{act}" for act in ("get", "update", "attach", "detach"))
    ),
    "NewWebhookEndpoint": _by_id(
        "endpoint_id",
        *(f"webhook_endpoints_{act}" for act in ("get", "update", "rotate", "test", "public_keys", "delete")),
    ),
    "WebhookPing": {
        "webhook_deliveries_get": ("delivery_id", "/delivery_id"),
        "events_get": ("event_id", "/event_id"),
    },
    "NewApiKey": _by_id("key_id", "api_keys_rotate", "api_keys_revoke"),
    "NewAccount": {"ledger_balance_as_of": ("name", "/name")},
    "Transfer": {
        "ledger_get_journal": ("journal_id", "/id"),
        "ledger_reverse": ("journal_id", "/id"),
        "ledger_post_hold": ("hold_id", "/hold/id"),
        "ledger_void_hold": ("hold_id", "/hold/id"),
    },
    "NewMerchant": _by_id(
        "merchant_id",
        "balance_terms",
        *(f"merchants_{act}" for act in ("get", "update", "show_terms", "disable", "enable")),
    ),
}
