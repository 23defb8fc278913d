"""What the platform's operators see of merchants' webhook endpoints: never a secret, and how deliveries go."""

from __future__ import annotations

from typing import Any

from payment_gateway.operations.deps import Deps
from payment_gateway.store import webhook_health
from payment_gateway.store.webhook_health import RECENT_MAX, WAITING_MAX
from platform_kit.clock import isoformat
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


async def list_overseen_endpoints(
    deps: Deps, *, merchant_id: str | None, after: str | None, limit: int
) -> dict[str, Any]:
    """A page of endpoints with their health, oldest first, and the cursor of the next one."""
    async with deps.engine.connect() as connection:
        rows = await webhook_health.page(connection, merchant_id=merchant_id, after=after, limit=limit + 1)
    return {
        "data": [_overseen(row) for row in rows[:limit]],
        "next_after": rows[limit - 1].id if len(rows) > limit else None,
    }


async def get_overseen_endpoint(deps: Deps, endpoint_id: str) -> dict[str, Any]:
    """One endpoint with its health, whosever it is. Raises NotFound."""
    row = None
    if is_id("we", endpoint_id):
        async with deps.engine.connect() as connection:
            row = await webhook_health.find(connection, endpoint_id)
    if row is None:
        raise NotFound("No webhook endpoint has this id.")
    return _overseen(row)


def _overseen(row: Any) -> dict[str, Any]:
    """`success_rate` is of the newest deliveries that have ended or have failed at least once; None without any."""
    tried = row.delivered + row.dead + row.failing
    return {
        "id": row.id,
        "object": "overseen_webhook_endpoint",
        "merchant_id": row.merchant_id,
        "merchant_name": row.merchant_name,
        "url": row.url,
        "enabled": row.enabled,
        "event_types": row.event_types,
        "description": row.description,
        "failing_since": _time(row.failing_since),
        "disabled_at": _time(row.disabled_at),
        "disabled_reason": row.disabled_reason,
        "created_at": isoformat(row.created_at),
        "recent": {
            "of_newest": RECENT_MAX,
            "delivered": row.delivered,
            "dead": row.dead,
            "failing": row.failing,
            "success_rate": row.delivered / tried if tried else None,
            "last_delivered_at": _time(row.last_delivered_at),
        },
        "waiting": {
            "due": row.due,
            "is_at_least": row.due >= WAITING_MAX,
            "oldest_due_at": _time(row.oldest_due_at),
        },
    }


def _time(at: Any) -> str | None:
    return None if at is None else isoformat(at)
