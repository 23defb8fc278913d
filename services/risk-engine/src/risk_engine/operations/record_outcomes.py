"""What became of payments, from the gateway's events: stored once, in the transaction that moves the cursor."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.outbox import Event
from risk_engine.store import outcomes
from risk_engine.store.outcomes import Outcome

STREAM = "events:payments"
CONSUMER = "risk-engine"
OUTCOMES: Mapping[str, str] = {
    "payment.captured.v1": "captured",
    "payment.declined.v1": "declined",
    "payment.failed.v1": "failed",
}


async def record_outcomes(conn: AsyncConnection, events: Sequence[Event]) -> None:
    """Apply a batch of the gateway's events; types that are no outcome are passed over.

    Raises KeyError or TypeError for an event that is not what the contract says: it is set aside.
    """
    await outcomes.add(conn, [outcome_of(event) for event in events if event.type in OUTCOMES])


def outcome_of(event: Event) -> Outcome:
    """The outcome that an event tells of."""
    payment: Mapping[str, Any] = event.data["payment"]
    risk: Mapping[str, Any] = payment["risk"] or {}
    at: datetime = event.occurred_at
    return Outcome(
        payment_id=payment["id"],
        outcome=OUTCOMES[event.type],
        merchant_id=payment["merchant_id"],
        assessment_id=risk.get("assessment_id"),
        amount_minor=payment["captured_minor"]
        if event.type == "payment.captured.v1"
        else payment["amount_minor"],
        currency=payment["currency"],
        is_own_block=risk.get("decision") == "block",
        occurred_at=at,
        decision=risk.get("decision"),
        is_fallback=bool(risk.get("fallback")),
    )
