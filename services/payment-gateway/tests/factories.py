"""Values for tests: a test names only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Payment, Status
from platform_kit.ids import new_id

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_payment(**changes: Any) -> Payment:
    """A card payment of 100.00 EUR that is being processed."""
    values: dict[str, Any] = {
        "id": new_id("pay"),
        "merchant_id": "mer_1",
        "amount_minor": 10_000,
        "currency": "EUR",
        "capture": "automatic",
        "method": {"type": "card", "token": "tok_visa"},
        "channel": "card_sim",
        "status": Status.PROCESSING,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Payment(**values | changes)


def held(**changes: Any) -> Payment:
    """A payment of 100.00 EUR that is authorised and not captured."""
    return a_payment(
        **{"status": Status.AUTHORISED, "authorised_minor": 10_000, "capture": "manual"} | changes
    )


def captured(**changes: Any) -> Payment:
    """A payment of 100.00 EUR that is captured."""
    amounts = {"authorised_minor": 10_000, "captured_minor": 10_000}
    return a_payment(**{"status": Status.CAPTURED} | amounts | changes)


def an_attempt(payment: Payment, operation: Operation = Operation.AUTHORISE, **changes: Any) -> Attempt:
    """A question about `payment` that is about to be sent."""
    values: dict[str, Any] = {
        "id": new_id("att"),
        "payment_id": payment.id,
        "operation": operation,
        "channel": "card_sim",
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "sent_at": NOON,
    }
    return Attempt(**values | changes)
