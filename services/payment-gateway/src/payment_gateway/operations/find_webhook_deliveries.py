"""What was sent to a merchant's endpoints, attempt by attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.operations.deps import Deps
from payment_gateway.store import webhook_deliveries
from payment_gateway.store.tenancy import as_merchant
from platform_kit.clock import isoformat
from platform_kit.ids import is_id
from platform_kit.problems import NotFound, Problem

ATTEMPTS_MAX: Final = 20  # shown of one delivery, the newest: two cycles


class NothingNamed(Problem):
    status, code, title = 422, "nothing-named", "The request does not say of what"


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Newest first. `next_before` is the id to continue before; None at the end."""

    deliveries: Sequence[dict[str, Any]]
    next_before: str | None


async def list_webhook_deliveries(
    deps: Deps,
    merchant_id: str,
    *,
    endpoint_id: str | None,
    event_id: str | None,
    status: str | None,
    before: str | None,
    limit: int,
) -> DeliveryPage:
    """Of an endpoint, of an event, or of both. Raises NothingNamed when neither is named."""
    if endpoint_id is None and event_id is None:
        raise NothingNamed("Name an `endpoint_id` or an `event_id`.")
    async with as_merchant(deps.engine, merchant_id) as connection:
        rows = await webhook_deliveries.page(
            connection,
            merchant_id,
            endpoint_id=endpoint_id,
            event_id=event_id,
            status=status,
            before=before,
            limit=limit + 1,
        )
        shown = await _objects(connection, rows[:limit])
    return DeliveryPage(shown, rows[limit - 1].id if len(rows) > limit else None)


async def get_webhook_delivery(deps: Deps, merchant_id: str, delivery_id: str) -> dict[str, Any]:
    """Raises NotFound, also for another merchant's."""
    if is_id("dlv", delivery_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            row = await webhook_deliveries.get(connection, merchant_id, delivery_id)
            if row is not None:
                return (await _objects(connection, [row]))[0]
    raise NotFound("This merchant has no such webhook delivery.")


async def _objects(connection: AsyncConnection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    attempts: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in await webhook_deliveries.attempts_of(connection, [row.id for row in rows], ATTEMPTS_MAX):
        attempts[row.delivery_id].append(
            {
                "cycle": row.cycle,
                "number": row.number,
                "status_code": row.status_code,
                "error": row.error,
                "duration_ms": row.duration_ms,
                "ended_at": isoformat(row.ended_at),
            }
        )
    return [
        {
            "id": row.id,
            "object": "webhook_delivery",
            "endpoint_id": row.endpoint_id,
            "event_id": row.event_id,
            "message_id": row.message_id,
            "event_type": row.event_type,
            "status": row.status,
            "cycle": row.cycle,
            "attempt_count": row.attempts,
            "next_attempt_at": isoformat(row.due_at) if row.due_at else None,
            "last_status_code": row.last_status_code,
            "last_error": row.last_error,
            "delivered_at": isoformat(row.delivered_at) if row.delivered_at else None,
            "created_at": isoformat(row.created_at),
            "attempts": attempts[row.id],
        }
        for row in rows
    ]
