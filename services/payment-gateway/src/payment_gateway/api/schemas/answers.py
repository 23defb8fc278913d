"""The shapes of what the native API answers, as JSON schemas: they document, and serialise nothing.

Every member that is named is always there, unless `optional` says so; clients must bear new ones. A test holds real
answers to these schemas, with unknown members refused.
"""

from __future__ import annotations

from typing import Final

from payment_gateway.domain.audit import ACTORS
from payment_gateway.domain.dispute import DisputeStatus
from payment_gateway.domain.ledger import PostingKind
from payment_gateway.domain.ledger_hold import HoldState
from payment_gateway.domain.payment import Status
from payment_gateway.domain.payout import PayoutStatus
from payment_gateway.domain.postings import MOVEMENTS
from payment_gateway.domain.refund import RefundStatus
from payment_gateway.domain.risk import Decision
from payment_gateway.domain.scopes import SCOPES
from payment_gateway.domain.suspense import Direction, SuspenseStatus, Target
from payment_gateway.domain.versions import VERSIONS
from payment_gateway.operations.cancel_key import ROUTES
from platform_kit import contract
from platform_kit.contract import (
    ANYTHING,
    COUNT,
    FLAG,
    TEXT,
    Links,
    Schema,
    items,
    nullable,
    ref,
    shape,
    thing,
)

MINOR: Final[Schema] = {"type": "integer", "description": "minor units of `currency`"}
AMOUNT: Final[Schema] = MINOR | {"minimum": 1, "examples": [1250]}
TOTAL: Final[Schema] = MINOR | {"minimum": 0}
CURRENCY: Final[Schema] = ref("Currency")
TIME: Final[Schema] = contract.TIME | {"examples": ["2026-11-26T12:00:00.000000Z"]}
LABELS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}


def identifier(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_[0-9a-z_]{{1,60}}$"}


def word(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def page(schema: str, *cursors: str) -> Schema:
    """A list and the cursors that continue it; null at its end."""
    return shape({"data": items(ref(schema)), **{name: nullable(TEXT) for name in cursors}})


_RISK: Final = shape(
    {
        "assessment_id": nullable(TEXT),
        "decision": word(*Decision),
        "score": nullable({"type": "integer", "minimum": 0, "maximum": 100}),
        "reasons": items(shape({"code": TEXT, "text": TEXT})),
        "fallback": FLAG,
    }
)
_METHOD: Final = shape(
    {
        "type": word("card", "wallet", "bank"),
        "token_hint": TEXT | {"description": "of a test token: its public stem"},
        "payment_method": identifier("pm"),
        "card": ANYTHING | {"description": "of a saved card: what may be shown of it"},
        "provider": TEXT,
        "scheme": TEXT,
    },
    optional=["token_hint", "payment_method", "card", "provider", "scheme"],
)
_TIMES: Final = {"created_at": TIME, "updated_at": TIME}
_TRANSFER: Final = {
    "debit_account": TEXT,
    "credit_account": TEXT,
    "amount_minor": AMOUNT,
    "currency": CURRENCY,
}
_HOLD: Final = {
    "id": identifier("hld"),
    **_TRANSFER,
    "posted_minor": TOTAL,
    "released_minor": TOTAL,
    "remaining_minor": TOTAL,
    "expires_at": nullable(TIME),
    "state": word(*HoldState),
}
_ABOUT: Final = {"effective_at": TIME, "description": TEXT, "metadata": LABELS}
_ROW: Final = {
    "journal_id": identifier("je"),
    **_TRANSFER,
    "kind": word(*PostingKind),
    "hold_id": nullable(identifier("hld")),
    "effective_at": TIME,
    "recorded_at": TIME,
    "reverses": nullable(identifier("je")),
    "reason": nullable(TEXT),
    "description": nullable(TEXT),
    "metadata": LABELS,
}
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
_ENDPOINT: Final = {
    "id": identifier("we"),
    "url": TEXT,
    "enabled": FLAG,
    "event_types": nullable(items(TEXT)),
    "description": nullable(TEXT),
    "metadata": LABELS,
    "style": TEXT,
    "public_keys": items(TEXT),
    "retiring_secrets": items(shape({"expires_at": TIME})),
    "failing_since": nullable(TIME),
    "disabled_at": nullable(TIME),
    "disabled_reason": nullable(TEXT),
    "created_at": TIME,
}
_SHOWN_ONCE: Final = TEXT | {"description": "shown this once"}

SCHEMAS: Final[dict[str, Schema]] = {
    "Payment": thing(
        "payment",
        {
            "id": identifier("pay"),
            "merchant_id": identifier("mer"),
            "status": word(*Status),
            "amount_minor": AMOUNT,
            "surcharge_minor": TOTAL,
            "currency": CURRENCY,
            "authorised_minor": TOTAL,
            "captured_minor": TOTAL,
            "refunded_minor": TOTAL,
            "disputed_minor": TOTAL,
            "fee_minor": TOTAL,
            "fee_returned_minor": TOTAL,
            "capture": word("automatic", "manual"),
            "method": nullable(_METHOD),
            "channel": nullable(TEXT),
            "reference": nullable(TEXT),
            "description": nullable(TEXT),
            "statement_descriptor": nullable(TEXT),
            "decline_code": nullable(TEXT),
            "next_action": nullable(
                ANYTHING | {"description": "what the payer must do: its `type` says how"}
            ),
            "risk": nullable(_RISK),
            "customer": nullable(ANYTHING),
            "metadata": LABELS,
            "version": COUNT,
            **_TIMES,
        },
    ),
    "PaymentPage": page("Payment", "next_cursor"),
    "Refund": thing(
        "refund",
        {
            "id": identifier("rf"),
            "payment_id": identifier("pay"),
            "amount_minor": AMOUNT,
            "fee_returned_minor": TOTAL,
            "surcharge_minor": TOTAL,
            "currency": CURRENCY,
            "status": word(*RefundStatus),
            "reason": nullable(TEXT),
            "metadata": LABELS,
            "created_at": TIME,
        },
    ),
    "RefundList": page("Refund"),
    "Dispute": thing(
        "dispute",
        {
            "id": identifier("dp"),
            "payment_id": identifier("pay"),
            "status": word(*DisputeStatus),
            "reason": TEXT,
            "amount_minor": AMOUNT,
            "reserved_minor": TOTAL,
            "fee_minor": TOTAL,
            "fee_returned_minor": TOTAL,
            "currency": CURRENCY,
            "evidence": LABELS,
            "evidence_due_at": TIME,
            "closed_by": nullable(TEXT),
            **_TIMES,
        },
    ),
    "DisputePage": page("Dispute", "next_cursor"),
    "Balance": thing(
        "balance",
        {
            "balances": items(
                shape(
                    {
                        "currency": CURRENCY,
                        "available_minor": MINOR,
                        "pending_minor": MINOR,
                        "reserve_minor": MINOR,
                        "disputed_minor": MINOR,
                        "payouts_in_transit_minor": MINOR,
                    }
                )
            )
        },
    ),
    "BalanceTransaction": thing(
        "balance_transaction",
        {
            "id": identifier("je"),
            "type": word(*sorted({*MOVEMENTS.values(), "other"})),
            "amount_minor": MINOR,
            "fee_minor": MINOR,
            "net_minor": MINOR,
            "pending_minor": MINOR,
            "available_minor": MINOR,
            "currency": CURRENCY,
            "payment_id": nullable(identifier("pay")),
            "created_at": TIME,
        },
    ),
    "BalanceTransactionPage": page("BalanceTransaction", "next_cursor"),
    "Reserve": thing(
        "reserve",
        {
            "id": identifier("rsv"),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "created_at": TIME,
            "release_at": TIME,
            "released_at": nullable(TIME),
        },
    ),
    "ReservePage": page("Reserve", "next_cursor"),
    "Suspense": thing(
        "suspense",
        {
            "id": identifier("sus"),
            "status": word(*SuspenseStatus),
            "channel": TEXT,
            "reference": TEXT,
            "direction": word(*Direction),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "note": TEXT,
            "resolved_to": nullable(word(*Target)),
            "merchant_id": nullable(identifier("mer")),
            "resolution": nullable(TEXT),
            "created_at": TIME,
            "resolved_at": nullable(TIME),
        },
    ),
    "SuspensePage": page("Suspense", "next_cursor"),
    "Payout": thing(
        "payout",
        {
            "id": identifier("po"),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "destination": TEXT,
            "status": word(*PayoutStatus),
            "slot": nullable(TEXT),
            "failure_code": nullable(TEXT),
            **_TIMES,
        },
    ),
    "PayoutPage": page("Payout", "next_cursor"),
    "Terms": shape(
        {
            "merchant_id": identifier("mer"),
            "settlement_delay_days": COUNT,
            "payout_destination": nullable(TEXT),
            "fee_plan": nullable(ANYTHING),
            "settlement_currency": nullable(CURRENCY),
            "reserve": nullable(shape({"basis_points": COUNT, "days": COUNT})),
        }
    ),
    "Event": shape(
        {
            "id": identifier("evt"),
            "type": TEXT | {"examples": ["payment.captured.v1"]},
            "occurred_at": TIME,
            "aggregate_id": TEXT,
            "merchant_id": identifier("mer"),
            "data": ANYTHING,
        }
    ),
    "EventPage": shape(
        {
            "data": items(ref("Event")),
            "has_more": FLAG,
            "next_after": nullable(TEXT),
            "next_before": nullable(TEXT),
        }
    ),
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
    "WebhookEndpoint": thing("webhook_endpoint", _ENDPOINT),
    "NewWebhookEndpoint": thing("webhook_endpoint", _ENDPOINT | {"secret": _SHOWN_ONCE}),
    "WebhookEndpointPage": page("WebhookEndpoint", "next_after"),
    "PublicKeyList": shape({"data": items(TEXT)}),
    "WebhookPing": thing("webhook_ping", {"delivery_id": identifier("dlv"), "event_id": identifier("evt")}),
    "WebhookDelivery": thing(
        "webhook_delivery",
        {
            "id": identifier("dlv"),
            "endpoint_id": identifier("we"),
            "event_id": identifier("evt"),
            "event_type": TEXT,
            "status": word("due", "delivered", "dead"),
            "cycle": COUNT,
            "attempt_count": COUNT,
            "next_attempt_at": nullable(TIME),
            "last_status_code": nullable(COUNT),
            "last_error": nullable(TEXT),
            "delivered_at": nullable(TIME),
            "created_at": TIME,
            "attempts": items(
                shape(
                    {
                        "cycle": COUNT,
                        "number": COUNT,
                        "status_code": nullable(COUNT),
                        "error": nullable(TEXT),
                        "duration_ms": COUNT,
                        "ended_at": TIME,
                    }
                )
            ),
        },
    ),
    "WebhookDeliveryPage": page("WebhookDelivery", "next_before"),
    "WebhookReplay": thing(
        "webhook_replay",
        {"events": COUNT, "deliveries": COUNT, "has_more": FLAG, "next_after": nullable(identifier("evt"))},
    ),
    "NewAccount": shape(
        {"name": TEXT, "currency": CURRENCY, "floor_minor": nullable(MINOR), "ceiling_minor": nullable(MINOR)}
    ),
    "Account": thing(
        "account",
        {
            "name": TEXT,
            "currency": CURRENCY,
            "available_minor": MINOR,
            "debits_posted_minor": TOTAL,
            "credits_posted_minor": TOTAL,
            "debits_pending_minor": TOTAL,
            "credits_pending_minor": TOTAL,
            "floor_minor": nullable(MINOR),
            "ceiling_minor": nullable(MINOR),
            "version": COUNT,
        },
    ),
    "AccountPage": page("Account", "next_cursor"),
    "AccountBalance": thing(
        "balance",
        {
            "name": TEXT,
            "currency": CURRENCY,
            "posted_minor": MINOR,
            "held_minor": MINOR,
            "available_minor": MINOR,
        },
    ),
    "Hold": thing("hold", _HOLD),
    "SettledHold": thing("hold", _HOLD | {"journal_id": identifier("je")}),
    "SingleTransfer": thing(
        "transfer",
        {
            "id": identifier("je"),
            "created_at": TIME,
            **_ABOUT,
            **_TRANSFER,
            "hold": ref("Hold"),
        },
        optional=[*_ABOUT, "hold"],
    ),
    "JournalTransfer": thing(
        "journal",
        {
            "id": identifier("je"),
            "created_at": TIME,
            **_ABOUT,
            "transfers": items(shape(_TRANSFER)),
        },
        optional=_ABOUT,
    ),
    "Transfer": {"oneOf": [ref("SingleTransfer"), ref("JournalTransfer")]},
    "TransferBatch": thing(
        "transfer_batch",
        {
            "done": COUNT,
            "refused": COUNT,
            "results": items(
                {
                    "oneOf": [
                        shape({"status": word("done"), "transfer": ref("Transfer")}),
                        shape({"status": word("refused"), "problem": ref("Problem")}),
                    ]
                }
            ),
        },
    ),
    "LedgerTransfer": thing("transfer", _ROW),
    "AccountTransfer": thing("transfer", _ROW | {"version": COUNT}),
    "AccountTransferPage": page("AccountTransfer", "next_cursor"),
    "HoldPage": page("Hold", "next_cursor"),
    "LedgerTransferPage": page("LedgerTransfer", "next_cursor"),
    "Reversal": thing(
        "journal",
        {
            "id": identifier("je"),
            "transfers": items(
                shape(
                    {
                        "debit": TEXT,
                        "credit": TEXT,
                        "amount_minor": AMOUNT,
                        "currency": CURRENCY,
                        "kind": word(*PostingKind),
                    }
                )
            ),
            "reverses": identifier("je"),
            "reason": TEXT,
            "created_at": TIME,
        },
    ),
    "Verification": shape(
        {
            "balanced": FLAG,
            "accounts": COUNT,
            "transfers": COUNT,
            "currencies": items(
                shape(
                    {
                        "currency": CURRENCY,
                        "debits_minor": TOTAL,
                        "credits_minor": TOTAL,
                        "debits_pending_minor": TOTAL,
                        "credits_pending_minor": TOTAL,
                    }
                )
            ),
            "differences": items(TEXT),
            "unproved_transfers": items({}),
            "wrong_journals": items(TEXT),
            "chain": shape(
                {
                    "length": COUNT,
                    "broken_at": nullable({}),
                    "behind": COUNT,
                    "lag_s": {"type": "number", "minimum": 0},
                }
            ),
        }
    ),
    "NewMerchant": shape(
        {"id": identifier("mer"), "name": TEXT, "country": TEXT, "api_key": _SHOWN_ONCE},
    ),
    "Merchant": thing(
        "merchant",
        {
            "id": identifier("mer"),
            "name": TEXT,
            "country": TEXT,
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
            "actor": shape({"type": word(*ACTORS), "id": nullable(identifier("key"))}),
            "action": TEXT | {"examples": ["api_key.rotated"]},
            "object_id": TEXT,
            "details": ANYTHING,
            "request_id": nullable(TEXT),
            "created_at": TIME,
        },
    ),
    "AuditPage": page("AuditEntry", "next_cursor"),
    "ApiKey": thing("api_key", _API_KEY),
    "NewApiKey": thing("api_key", _API_KEY | {"api_key": _SHOWN_ONCE}),
    "ApiKeyList": page("ApiKey"),
    "StoredCustomer": thing(
        "customer",
        {
            "id": identifier("cus"),
            "name": nullable(TEXT),
            "email": nullable(TEXT),
            "description": nullable(TEXT),
            "metadata": LABELS,
            **_TIMES,
        },
    ),
    "CustomerPage": page("StoredCustomer", "next_cursor"),
    "DeletedCustomer": thing("customer", {"id": identifier("cus"), "deleted": {"const": True}}),
    "PaymentMethod": thing(
        "payment_method",
        {
            "id": identifier("pm"),
            "type": word("card", "wallet", "bank_transfer"),
            "card": ANYTHING,
            "wallet": ANYTHING,
            "bank_transfer": ANYTHING,
            "customer_id": nullable(identifier("cus")),
            "billing_details": ANYTHING,
            "metadata": LABELS,
            "detached_at": nullable(TIME),
            **_TIMES,
        },
        optional=("card", "wallet", "bank_transfer"),
    ),
    "PaymentMethodPage": page("PaymentMethod", "next_cursor"),
}


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
    "Suspense": _by_id("item_id", "suspense_resolve"),
    "Payout": _by_id("payout_id", "balance_get", "balance_cancel"),
    "StoredCustomer": _by_id("customer_id", "customers_get", "customers_update", "customers_delete"),
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
