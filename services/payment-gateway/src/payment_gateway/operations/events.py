"""Events about payments and refunds, with the whole object in them, so that a consumer needs nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from payment_gateway.domain.attempt import Attempt, Outcome
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.objects import attempt_object, journal_object, payment_told, refund_object
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.refund import Refund
from platform_kit.ids import new_id
from platform_kit.outbox import Event


def payment_event(
    kind: str,
    payment: Payment,
    *,
    refund: Refund | None = None,
    journal: Journal | None = None,
    attempt: Attempt | None = None,
    outcome: Outcome | None = None,
    at: datetime | None = None,
    **members: Any,
) -> Event:
    """`kind` is a type such as `payment.captured.v1`; its time is `at`, or else the payment's last change."""
    data = {
        "payment": payment_told(payment),
        "refund": refund_object(refund) if refund else None,
        "journal": journal_object(journal),
        "attempt": attempt_object(attempt, outcome) if attempt else None,
    }
    return Event(
        id=new_id("evt"),
        type=kind,
        aggregate_id=payment.id,
        merchant_id=payment.merchant_id,
        data=data | members,
        occurred_at=at or payment.updated_at,
    )
