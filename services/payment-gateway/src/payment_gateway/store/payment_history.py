"""What only this service knows of a payment's way: routes with reasons, attempts, deliveries, operators' acts."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.payment import Payment
from payment_gateway.store import payments
from payment_gateway.store.tables import payment as payment_table

DELIVERIES_MAX: Final = 200

MERCHANT_OF = text(f"SELECT merchant_id FROM {payment_table.fullname} WHERE id = :id")  # noqa: S608 - our own name
ROUTES = text(
    """
    SELECT attempt_id, decided_at, route->>'channel' AS channel, route->>'reason' AS reason,
           route->>'rule' AS rule, route->'candidates' AS candidates
    FROM payments.routing_decision WHERE payment_id = :id    -- routing_decision_by_payment_idx
    ORDER BY decided_at, attempt_id
    """
)
ATTEMPTS = text(
    """
    SELECT id, operation, channel, amount_minor, currency, sent_at, outcome, code, channel_reference, refund_id
    FROM payments.attempt WHERE payment_id = :id ORDER BY sent_at, id
    """
)
DELIVERIES = text(
    """
    SELECT d.id, d.endpoint_id, e.id AS event_id, e.type AS event_type, w.url, d.status, d.attempts AS attempt_count,
           d.last_status_code, d.last_error, d.created_at, d.delivered_at
    FROM payments.outbox_event e                             -- event_by_aggregate_idx
    JOIN payments.webhook_delivery d                         -- webhook_delivery_by_event_idx
      ON d.event_id >= e.id AND d.event_id < e.id || '~'
    JOIN payments.webhook_endpoint w ON w.id = d.endpoint_id
    WHERE e.aggregate_id = :id ORDER BY d.id LIMIT :limit
    """
)
ACTS = text(
    """
    SELECT action, actor_id AS operator, details, created_at
    FROM payments.audit_entry WHERE merchant_id = :merchant_id AND object_id = :id AND actor = 'operator'
    ORDER BY id
    """
)


async def find(conn: AsyncConnection, payment_id: str) -> Payment | None:
    """Whosever it is."""
    merchant_id = await conn.scalar(MERCHANT_OF, {"id": payment_id})
    return None if merchant_id is None else await payments.get(conn, payment_id, merchant_id)


async def of_payment(conn: AsyncConnection, payment: Payment) -> dict[str, list[dict[str, Any]]]:
    """Each in time order."""
    values = {"id": payment.id, "merchant_id": payment.merchant_id, "limit": DELIVERIES_MAX}
    found = {}
    for name, statement in (
        ("routes", ROUTES),
        ("attempts", ATTEMPTS),
        ("deliveries", DELIVERIES),
        ("acts", ACTS),
    ):
        bound = {key: value for key, value in values.items() if f":{key}" in statement.text}
        found[name] = [dict(row) for row in (await conn.execute(statement, bound)).mappings()]
    return found
