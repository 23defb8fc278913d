"""Payments, refunds and disputes as the native API answers them, what pays, and who."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import (
    AMOUNT,
    CURRENCY,
    LABELS,
    TIME,
    TIMES,
    TOTAL,
    identifier,
    page,
    word,
)
from payment_gateway.domain.dispute import DisputeStatus
from payment_gateway.domain.payment import Status
from payment_gateway.domain.refund import RefundStatus
from payment_gateway.domain.risk import Decision
from platform_kit.contract import ANYTHING, COUNT, FLAG, TEXT, Schema, items, nullable, ref, shape, thing

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
            **TIMES,
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
            "failure_code": nullable(TEXT) | {"description": "why it failed, in the channel's word"},
            "reason": nullable(TEXT),
            "metadata": LABELS,
            "created_at": TIME,
        },
        optional=("failure_code",),  # events of before have none
    ),
    "RefundList": page("Refund"),
    "RefundPage": page("Refund", "next_cursor"),
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
            **TIMES,
        },
    ),
    "DisputePage": page("Dispute", "next_cursor"),
    "StoredCustomer": thing(
        "customer",
        {
            "id": identifier("cus"),
            "name": nullable(TEXT),
            "email": nullable(TEXT),
            "description": nullable(TEXT),
            "metadata": LABELS,
            **TIMES,
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
            **TIMES,
        },
        optional=("card", "wallet", "bank_transfer"),
    ),
    "PaymentMethodPage": page("PaymentMethod", "next_cursor"),
    "FoundPayments": shape(
        {
            "data": items(
                shape({"payment_id": identifier("pay"), "merchant_id": identifier("mer"), "created_at": TIME})
            ),
            "is_whole": FLAG | {"description": "whether there is nothing that was not looked at"},
            "next_before": nullable(identifier("pay")),
        }
    ),
    "PaymentHistory": thing(
        "payment_history",
        {
            "payment": ref("Payment"),
            "routes": items(
                shape(
                    {
                        "attempt_id": TEXT,
                        "decided_at": TIME,
                        "channel": nullable(TEXT),
                        "reason": nullable(TEXT),
                        "rule": nullable(TEXT),
                        "candidates": nullable(items(ANYTHING))
                        | {"description": "the rule's channels, each with its reason"},
                    }
                )
            ),
            "attempts": items(
                shape(
                    {
                        "id": TEXT,
                        "operation": TEXT,
                        "channel": TEXT,
                        "amount_minor": TOTAL,
                        "currency": CURRENCY,
                        "sent_at": TIME,
                        "outcome": nullable(TEXT),
                        "code": nullable(TEXT),
                        "channel_reference": nullable(TEXT),
                        "refund_id": nullable(TEXT),
                    }
                )
            ),
            "deliveries": items(
                shape(
                    {
                        "id": identifier("dlv"),
                        "endpoint_id": identifier("we"),
                        "event_id": identifier("evt"),
                        "event_type": TEXT,
                        "url": TEXT,
                        "status": word("due", "delivered", "dead"),
                        "attempt_count": COUNT,
                        "last_status_code": nullable(COUNT),
                        "last_error": nullable(TEXT),
                        "created_at": TIME,
                        "delivered_at": nullable(TIME),
                    }
                )
            ),
            "acts": items(shape({"action": TEXT, "operator": TEXT, "details": ANYTHING, "created_at": TIME})),
        },
    ),
}
