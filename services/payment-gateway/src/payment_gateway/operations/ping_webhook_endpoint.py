"""Send one endpoint a message that means nothing, so that a merchant can try its receiver."""

from __future__ import annotations

from typing import Any

from payment_gateway.domain.webhook_endpoint import PING, endpoint_object
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_webhook_endpoints import find
from payment_gateway.operations.replay_webhooks import WebhookEndpointDisabled
from payment_gateway.store import webhooks
from payment_gateway.store.tables import outbox
from platform_kit.ids import new_id
from platform_kit.outbox import Event, append


async def ping_webhook_endpoint(deps: Deps, merchant_id: str, endpoint_id: str) -> dict[str, Any]:
    """The delivery, due at once, whatever types the endpoint wants. Raises NotFound, WebhookEndpointDisabled."""
    now = deps.clock.now()
    delivery_id = new_id("dlv")
    async with deps.engine.begin() as connection:
        endpoint = await find(deps, connection, merchant_id, endpoint_id, lock=True)
        if not endpoint.enabled:
            raise WebhookEndpointDisabled("Enable it first.")
        ping = Event(
            id=new_id("evt"),
            type=PING,
            aggregate_id=endpoint.id,
            merchant_id=merchant_id,
            data={"webhook_endpoint": endpoint_object(endpoint, now)},
            occurred_at=now,
        )
        await append(connection, outbox, [ping])
        await webhooks.insert_deliveries(connection, [(delivery_id, endpoint.id, ping.id)])
    return {"object": "webhook_ping", "delivery_id": delivery_id, "event_id": ping.id}
