"""Events, the endpoints that want them, and what came of telling them."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import (
    LABELS,
    OLDER_CURSOR,
    SHOWN_ONCE,
    TIME,
    identifier,
    page,
    word,
)
from platform_kit.contract import ANYTHING, COUNT, FLAG, TEXT, Schema, items, nullable, ref, shape, thing

_ENDPOINT: Final = {
    "id": identifier("we"),
    "url": TEXT,
    "enabled": FLAG,
    "event_types": nullable(items(TEXT)),
    "event_names": items(TEXT)
    | {"description": "of a Stripe-shaped endpoint: what it asked for in those words"},
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

SCHEMAS: Final[dict[str, Schema]] = {
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
            "next_cursor": nullable(TEXT),
            "has_more": FLAG,
            "next_after": OLDER_CURSOR,
            "next_before": OLDER_CURSOR,
        }
    ),
    "WebhookEndpoint": thing("webhook_endpoint", _ENDPOINT, optional=["event_names"]),
    "NewWebhookEndpoint": thing(
        "webhook_endpoint", _ENDPOINT | {"secret": SHOWN_ONCE}, optional=["event_names"]
    ),
    "WebhookEndpointPage": page("WebhookEndpoint", "next_cursor", "next_after"),
    "PublicKeyList": shape({"data": items(TEXT)}),
    "WebhookPing": thing("webhook_ping", {"delivery_id": identifier("dlv"), "event_id": identifier("evt")}),
    "WebhookDelivery": thing(
        "webhook_delivery",
        {
            "id": identifier("dlv"),
            "endpoint_id": identifier("we"),
            "event_id": identifier("evt"),
            "message_id": TEXT
            | {"description": "the webhook-id: the event's id, and an aspect where it is told twice"},
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
    "WebhookDeliveryPage": page("WebhookDelivery", "next_cursor", "next_before"),
    "OverseenWebhookEndpoint": thing(
        "overseen_webhook_endpoint",
        {
            "id": identifier("we"),
            "merchant_id": identifier("mer"),
            "merchant_name": TEXT,
            "url": TEXT,
            "enabled": FLAG,
            "event_types": nullable(items(TEXT)),
            "description": nullable(TEXT),
            "failing_since": nullable(TIME),
            "disabled_at": nullable(TIME),
            "disabled_reason": nullable(TEXT),
            "created_at": TIME,
            "recent": shape(
                {
                    "of_newest": COUNT,
                    "delivered": COUNT,
                    "dead": COUNT,
                    "failing": COUNT,
                    "success_rate": nullable({"type": "number", "minimum": 0, "maximum": 1}),
                    "last_delivered_at": nullable(TIME),
                }
            ),
            "waiting": shape({"due": COUNT, "is_at_least": FLAG, "oldest_due_at": nullable(TIME)}),
        },
    ),
    "OverseenWebhookEndpointPage": page("OverseenWebhookEndpoint", "next_after"),
    "WebhookReplay": thing(
        "webhook_replay",
        {"events": COUNT, "deliveries": COUNT, "has_more": FLAG, "next_after": nullable(identifier("evt"))},
    ),
}
