"""Attempts are told in the transaction that records them, many in one event, and never to a webhook."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from webhook_rig import WebhookRig, status

from payment_gateway.domain.webhook_flow import PLACES_MAX
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks

TOLD = text(
    "SELECT merchant_id, data FROM payments.outbox_event WHERE type = 'webhook_delivery.attempted.v1' ORDER BY seq"
)
KEPT = text(
    "SELECT delivery_id, cycle, number, status_code, error, duration_ms FROM payments.webhook_attempt"
)


async def told(rig: WebhookRig) -> list[dict[str, Any]]:
    async with rig.deps.engine.connect() as connection:
        rows = list(await connection.execute(TOLD))
    assert all(row.merchant_id is None for row in rows)
    return [row.data for row in rows]


async def test_what_is_told_of_attempts_is_what_was_recorded(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    rig.receiver.answers["/ill"] = status(500)
    endpoint, (event,) = await rig.due(merchant, "/ill")
    await deliver_webhooks(rig.deps)
    rig.receiver.answers["/ill"] = status(204)
    await rig.execute("UPDATE payments.webhook_delivery SET due_at = now()")
    await deliver_webhooks(rig.deps)

    attempts = [one for data in await told(rig) for one in data["attempts"]]
    assert [(one["number"], one["status"], one["status_code"]) for one in attempts] == [
        (1, "due", 500),
        (2, "delivered", 204),
    ]
    assert {
        (one["endpoint_id"], one["merchant_id"], one["event_id"], one["event_type"]) for one in attempts
    } == {(endpoint["id"], merchant, event, "payment.captured.v1")}
    assert attempts[0]["waited_ms"] >= 0
    assert attempts[1]["waited_ms"] is None, "only the first attempt says how long an event waited"
    async with rig.deps.engine.connect() as connection:
        kept = [tuple(row) for row in await connection.execute(KEPT)]
    names = ("delivery_id", "cycle", "number", "status_code", "error", "duration_ms")
    assert sorted(tuple(one[name] for name in names) for one in attempts) == sorted(kept)


async def test_hundreds_of_attempts_are_told_by_a_few_events_and_no_webhook_tells_of_webhooks(
    rig: WebhookRig,
) -> None:
    merchant, count = await rig.a_merchant(), 10 * PLACES_MAX
    rig.receiver.answers["/good"] = status(200)
    await rig.due(merchant, "/good", count)
    await deliver_webhooks(rig.deps)
    events = await told(rig)
    assert sum(len(data["attempts"]) for data in events) == count
    assert len(events) < count / 4, "an event per attempt would double what the outbox carries"
    await rig.number()
    assert await fan_out_webhooks(rig.deps) == 0
