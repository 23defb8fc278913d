"""Events in Stripe's words, and the endpoints that they are sent to."""

from __future__ import annotations

from typing import Any

from payment_gateway.domain.stripe_objects.tellings import Telling, names_of, tellings, told_id
from payment_gateway.domain.stripe_objects.words import API_VERSION, Object, epoch


def event(told: Object, telling: Telling) -> dict[str, Any]:
    """One telling of an event of ours, as `GET /v1/events` shows that, with the object that it is about."""
    return {
        "id": told_id(told["id"], telling.aspect),
        "object": "event",
        "api_version": API_VERSION,
        "created": epoch(told["occurred_at"]),
        "data": {"object": telling.shown(told["data"])},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": telling.name,
    }


def told_as(told: Object, aspect: str) -> dict[str, Any]:
    """The telling with this aspect; the last one where none has it, which a delivery of another version may ask for."""
    found = tellings(told["type"], told["data"])
    return event(told, next((one for one in found if one.aspect == aspect), found[-1]))


def webhook_endpoint(endpoint: Object) -> dict[str, Any]:
    """Where a merchant wants to be told. The secret is there only when it was just made."""
    types, names = endpoint["event_types"], endpoint.get("event_names")
    shown = {
        "id": endpoint["id"],
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "created": epoch(endpoint["created_at"]),
        "description": endpoint["description"],
        "enabled_events": ["*"] if types is None else names or names_of(types),
        "livemode": False,
        "metadata": endpoint["metadata"],
        "status": "enabled" if endpoint["enabled"] else "disabled",
        "url": endpoint["url"],
    }
    return shown | ({"secret": endpoint["secret"]} if "secret" in endpoint else {})
