"""Send events again: one, those of an endpoint, those of a time; under their own ids, once per idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from payment_gateway.domain.audit import Actor, Entry
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_webhook_endpoints import find
from payment_gateway.store import audit_log, events, webhook_deliveries
from payment_gateway.store.tables import idempotency_key
from platform_kit import canonical, idempotency
from platform_kit.clock import isoformat
from platform_kit.idempotency import IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.problems import NotFound, Problem

EVENTS_MAX: Final = 500  # of one request: with 16 endpoints 8,000 rows, 0.3 s


class WebhookEndpointDisabled(Problem):
    status, code, title = 409, "webhook-endpoint-disabled", "The endpoint is disabled"


@dataclass(frozen=True, slots=True)
class ReplayWebhooks:
    """Which events (one, or those from `since` to before `until`) to send again, and to which endpoint (None = all)."""

    merchant_id: str
    key: IdempotencyKey
    event_id: str | None = None
    endpoint_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    """Continue after this event, when an earlier answer said that there is more."""
    undelivered_only: bool = False
    by: Actor | None = None
    """An operator of the platform: kept in the merchant's audit log. None: the merchant's own."""


async def replay_webhooks(deps: Deps, command: ReplayWebhooks) -> Answer:
    """202 with how much was made due, key and effect in one transaction.

    Raises NotFound, WebhookEndpointDisabled, KeyReused.
    """
    door = "/internal" if command.by else "/v1"  # keys of operators are not among the merchant's
    scope = f"{command.merchant_id} POST {door}/webhook-deliveries/replay"
    claim = command.key.claim(scope, new_id("rpl"))
    async with deps.engine.begin() as connection:
        # Another request with this key is waited for here: its transaction is as short as this one.
        if not await idempotency.insert(connection, idempotency_key, [(claim, None)]):
            found = await idempotency.find(connection, idempotency_key, [claim])
            stored = found[claim.scope, claim.key].replay_for(claim)
            return Answer(stored.status, stored.body, replayed=True)
        if command.endpoint_id is not None:
            endpoint = await find(deps, connection, command.merchant_id, command.endpoint_id)
            if not endpoint.enabled:
                raise WebhookEndpointDisabled("Enable it first.")
        positions: dict[str, int | None] = {}
        for event_id in filter(None, (command.event_id, command.after)):
            positions[event_id] = await events.position_of(connection, command.merchant_id, event_id)
            if positions[event_id] is None:
                raise NotFound("This merchant has no such event.")
        wanted = await webhook_deliveries.events_to_replay(
            connection,
            command.merchant_id,
            event_id=command.event_id,
            since=command.since,
            until=command.until,
            after=positions[command.after] or 0 if command.after else 0,
            limit=EVENTS_MAX + 1,
        )
        has_more, wanted = len(wanted) > EVENTS_MAX, wanted[:EVENTS_MAX]
        pairs = await webhook_deliveries.pairs_to_replay(
            connection, command.merchant_id, wanted, command.endpoint_id
        )
        made = 0
        if pairs:
            made = await webhook_deliveries.replay(
                connection,
                [(new_id("dlv"), *pair) for pair in pairs],
                undelivered_only=command.undelivered_only,
            )
        if command.by:
            await audit_log.record(connection, command.by, _entry(command, made))
        body = {
            "object": "webhook_replay",
            "events": len(wanted),
            "deliveries": made,
            "has_more": has_more,
            "next_after": wanted[-1] if has_more else None,
        }
        response = StoredResponse(202, orjson.dumps(body))
        await idempotency.finish(connection, idempotency_key, {(claim.scope, claim.key): response})
    canonical.add(webhooks_replayed=made)
    return Answer(response.status, response.body)


def _entry(command: ReplayWebhooks, made: int) -> Entry:
    asked = {
        "event_id": command.event_id,
        "occurred_from": isoformat(command.since) if command.since else None,
        "occurred_to": isoformat(command.until) if command.until else None,
        "undelivered_only": command.undelivered_only,
        "deliveries": made,
    }
    details = {name: value for name, value in asked.items() if value is not None}
    return Entry("webhook_endpoint.replayed", command.merchant_id, command.endpoint_id or "", details)
