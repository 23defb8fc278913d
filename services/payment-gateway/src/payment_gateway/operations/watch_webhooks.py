"""Say how long the oldest event waits for its first attempt: what no attempt can say while none is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payment_gateway.operations.webhook_metrics import webhook_waiting_seconds
from payment_gateway.store import webhooks

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps


async def watch_webhooks(deps: Deps) -> float:
    """The age in seconds, also kept as a metric."""
    async with deps.engine.connect() as connection:
        waiting_s = await webhooks.waiting_s(connection)
    webhook_waiting_seconds.set(waiting_s)
    return waiting_s
