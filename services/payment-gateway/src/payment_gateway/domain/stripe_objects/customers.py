"""Customers, their saved payment methods, and setting one up."""

from __future__ import annotations

from typing import Any

from payment_gateway.domain.stripe_objects.payments import payment_error
from payment_gateway.domain.stripe_objects.words import Object, epoch


def customer(customer: Object) -> dict[str, Any]:
    """Somebody who pays more than once."""
    return {
        "id": customer["id"],
        "object": "customer",
        "created": epoch(customer["created_at"]),
        "description": customer["description"],
        "email": customer["email"],
        "livemode": False,
        "metadata": customer["metadata"],
        "name": customer["name"],
    }


def payment_method(method: Object) -> dict[str, Any]:
    """A saved payment method; of a card the last four digits at most."""
    kind = method["type"]
    return {
        "id": method["id"],
        "object": "payment_method",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None}
        | dict(method["billing_details"]),
        "created": epoch(method["created_at"]),
        "customer": method["customer_id"],
        "livemode": False,
        "metadata": method["metadata"],
        "type": kind,
        kind: method.get(kind),
    }


def setup_intent(setup: Object) -> dict[str, Any]:
    """A setup intent."""
    error = payment_error(setup["decline_code"], None) if setup["decline_code"] else None
    status = "canceled" if setup["status"] == "cancelled" else setup["status"]
    return {
        "id": setup["id"],
        "object": "setup_intent",
        "cancellation_reason": None,
        "client_secret": None,
        "created": epoch(setup["created_at"]),
        "customer": setup["customer_id"],
        "description": setup["description"],
        "last_setup_error": error,
        "livemode": False,
        "metadata": setup["metadata"],
        "next_action": {"type": "confirm_again"} if status == "requires_action" else None,
        "payment_method": setup["payment_method_id"],
        "payment_method_types": ["card"],
        "status": status,
        "usage": setup["usage"],
    }
