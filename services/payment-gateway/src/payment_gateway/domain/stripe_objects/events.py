"""Events in Stripe's words, and the endpoints that they are sent to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from payment_gateway.domain.stripe_objects.money import dispute, payout
from payment_gateway.domain.stripe_objects.payments import charge, payment_intent, refund
from payment_gateway.domain.stripe_objects.words import API_VERSION, Object, epoch

EVENT_TYPES: Final = {
    "payment.created.v1": "payment_intent.created",
    "payment.confirmed.v1": "payment_intent.processing",
    "payment.unknown.v1": "payment_intent.processing",
    "payment.requires_action.v1": "payment_intent.requires_action",
    "payment.authorised.v1": "payment_intent.amount_capturable_updated",
    "payment.captured.v1": "payment_intent.succeeded",  # charge.captured for a part of the hold
    "payment.declined.v1": "payment_intent.payment_failed",
    "payment.failed.v1": "payment_intent.payment_failed",
    "payment.cancelled.v1": "payment_intent.canceled",
    "payment.voided.v1": "payment_intent.canceled",
    "payment.expired.v1": "payment_intent.canceled",
    "refund.created.v1": "refund.created",
    "refund.succeeded.v1": "refund.updated",
    "refund.failed.v1": "refund.failed",
    "dispute.opened.v1": "charge.dispute.created",
    "dispute.updated.v1": "charge.dispute.updated",
    "dispute.won.v1": "charge.dispute.closed",
    "dispute.lost.v1": "charge.dispute.closed",
    "payout.created.v1": "payout.created",
    "payout.in_transit.v1": "payout.updated",
    "payout.paid.v1": "payout.paid",
    "payout.failed.v1": "payout.failed",
    "payout.returned.v1": "payout.failed",
    "payout.cancelled.v1": "payout.canceled",
}
"""Our event types in Stripe's words; those without one keep their own."""


def event(event: Object) -> dict[str, Any]:
    """An event of ours, as `GET /v1/events` shows it, with the object that its type is about."""
    kind, shown = _event_object(event)
    return {
        "id": event["id"],
        "object": "event",
        "api_version": API_VERSION,
        "created": epoch(event["occurred_at"]),
        "data": {"object": shown},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def webhook_endpoint(endpoint: Object) -> dict[str, Any]:
    """Where a merchant wants to be told. The secret is there only when it was just made."""
    types = endpoint["event_types"]
    shown = {
        "id": endpoint["id"],
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "created": epoch(endpoint["created_at"]),
        "description": endpoint["description"],
        "enabled_events": ["*"] if types is None else [EVENT_TYPES.get(kind, kind) for kind in types],
        "livemode": False,
        "metadata": endpoint["metadata"],
        "status": "enabled" if endpoint["enabled"] else "disabled",
        "url": endpoint["url"],
    }
    return shown | ({"secret": endpoint["secret"]} if "secret" in endpoint else {})


def _event_object(event: Object) -> tuple[str, dict[str, Any]]:
    """Stripe's name of the event, and the object in it."""
    kind, data = event["type"], event["data"]
    name = EVENT_TYPES.get(kind, kind.removesuffix(".v1"))
    if kind == "payment.captured.v1" and data.get("payment") and data["payment"]["status"] != "captured":
        return "charge.captured", charge(data["payment"])
    noun = kind.partition(".")[0]
    if noun in _RENDERED and data.get(noun):
        return name, _RENDERED[noun](data[noun])
    return name, dict(data)


_RENDERED: Final[Mapping[str, Callable[[Object], dict[str, Any]]]] = {
    "payment": payment_intent,
    "refund": refund,
    "dispute": dispute,
    "payout": payout,
}
"""The noun of an event's type -> how the object of that name in its data is shown."""
