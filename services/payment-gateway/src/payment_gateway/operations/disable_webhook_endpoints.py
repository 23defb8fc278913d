"""Stop sending to endpoints that are gone or have failed for days, and tell the merchant's other ones."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.audit import THE_PLATFORM, Entry
from payment_gateway.domain.webhook_endpoint import DISABLED, endpoint_object
from payment_gateway.operations.vault import Vault
from payment_gateway.operations.webhook_metrics import webhook_endpoints_disabled_total
from payment_gateway.operations.webhook_secrets import opened
from payment_gateway.store import audit_log, webhook_endpoints
from payment_gateway.store.tables import outbox
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.outbox import Event, append

log = get_logger(__name__)


async def disable_webhook_endpoints(
    connection: AsyncConnection, vault: Vault, endpoint_ids: Collection[str], reason: str
) -> None:
    """In the caller's transaction: disable, drop what is due, append `webhook_endpoint.disabled.v1`, keep
    the act in the audit log.

    `reason` is `gone` (410) or `failing`. An endpoint that is disabled already stays as it is, without a second event.
    """
    if not endpoint_ids:
        return
    disabled = await webhook_endpoints.disable(connection, endpoint_ids, reason)
    events = []
    for endpoint in disabled:
        assert endpoint.disabled_at is not None
        events.append(
            Event(
                id=new_id("evt"),
                type=DISABLED,
                aggregate_id=endpoint.id,
                merchant_id=endpoint.merchant_id,
                data={
                    "webhook_endpoint": endpoint_object(opened(vault, endpoint), endpoint.disabled_at),
                    "reason": reason,
                },
                occurred_at=endpoint.disabled_at,
            )
        )
        act = "webhook_endpoint.disabled"
        entry = Entry(act, endpoint.merchant_id, endpoint.id, {"reason": reason})
        await audit_log.record(connection, THE_PLATFORM, entry)
        webhook_endpoints_disabled_total.labels(reason).inc()
        log.warning("webhook endpoint disabled", endpoint_id=endpoint.id, reason=reason)
    await append(connection, outbox, events)
