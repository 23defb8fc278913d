"""Endpoints of all merchants as the platform's operators look at them: do they answer, and what waits for them."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import merchant, webhook_delivery, webhook_endpoint

RECENT_MAX: Final = 100  # deliveries that the success rate is of: the same cost for every endpoint
WAITING_MAX: Final = 1_000  # due ones that are counted; more than that is said as "at least"

# webhook_delivery_by_endpoint_idx and webhook_delivery_due_idx, both from one end.
_ENDPOINTS = f"""
    SELECT e.id, e.merchant_id, m.name AS merchant_name, e.url, e.enabled, e.event_types, e.description,
           e.failing_since, e.disabled_at, e.disabled_reason, e.created_at,
           recent.delivered, recent.dead, recent.failing, recent.last_delivered_at,
           waiting.due, waiting.oldest_due_at
    FROM {webhook_endpoint.fullname} AS e JOIN {merchant.fullname} AS m ON m.id = e.merchant_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE status = 'delivered') AS delivered,
               count(*) FILTER (WHERE status = 'dead') AS dead,
               count(*) FILTER (WHERE status = 'due' AND attempts > 0) AS failing,
               max(delivered_at) AS last_delivered_at
        FROM (SELECT status, attempts, delivered_at FROM {webhook_delivery.fullname} AS d
              WHERE d.endpoint_id = e.id ORDER BY d.id DESC LIMIT {RECENT_MAX}) AS newest) AS recent
    CROSS JOIN LATERAL (
        SELECT count(*) AS due, min(created_at) AS oldest_due_at
        FROM (SELECT created_at FROM {webhook_delivery.fullname} AS d
              WHERE d.endpoint_id = e.id AND d.status = 'due' ORDER BY d.due_at LIMIT {WAITING_MAX}) AS due) AS waiting
    WHERE e.deleted_at IS NULL"""
PAGE = text(f"""{_ENDPOINTS}
      AND (CAST(:merchant_id AS text) IS NULL OR e.merchant_id = :merchant_id)
      AND (CAST(:after AS text) IS NULL OR e.id > :after)
    ORDER BY e.id LIMIT :limit""")
FIND = text(f"{_ENDPOINTS} AND e.id = :id")


async def page(
    conn: AsyncConnection, *, merchant_id: str | None, after: str | None, limit: int
) -> Sequence[Any]:
    """Oldest first, of one merchant or of all."""
    values = {"merchant_id": merchant_id, "after": after, "limit": limit}
    return (await conn.execute(PAGE, values)).all()


async def find(conn: AsyncConnection, endpoint_id: str) -> Any:
    """One endpoint, whosever it is, or None."""
    return (await conn.execute(FIND, {"id": endpoint_id})).first()
