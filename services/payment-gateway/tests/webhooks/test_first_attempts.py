"""W1: how long an event waits for its first attempt is measured, and seen also while nothing is sent at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY
from webhook_rig import WebhookRig, run_webhook_rig, status

from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.replay_webhooks import ReplayWebhooks, replay_webhooks
from payment_gateway.operations.watch_webhooks import watch_webhooks
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.idempotency import IdempotencyKey

NAME = "webhook_first_attempt_delay_seconds"


class Seen:
    """What the histogram has counted since."""

    def __init__(self) -> None:
        self._before = {receiver: self._now(receiver) for receiver in ("well", "failing")}

    def __call__(self, receiver: str = "well") -> tuple[int, float]:
        """(attempts, their seconds)."""
        count, seconds = self._now(receiver)
        before, seconds_before = self._before[receiver]
        return int(count - before), seconds - seconds_before

    @staticmethod
    def _now(receiver: str) -> tuple[float, float]:
        labels = {"receiver": receiver}
        count, seconds = (REGISTRY.get_sample_value(f"{NAME}_{of}", labels) for of in ("count", "sum"))
        return count or 0.0, seconds or 0.0


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    return await fresh_database("payments")


@pytest.fixture
async def rig(database: TestDatabase) -> AsyncIterator[WebhookRig]:
    async with run_webhook_rig(database.app_url) as running:
        yield running


async def older(database: TestDatabase, by: timedelta) -> None:
    """The events were committed `by` earlier; nobody could send them meanwhile. The application may not say so."""
    endpoints = "UPDATE payments.webhook_endpoint SET created_at = created_at - $1::interval"
    events = "UPDATE payments.outbox_event SET occurred_at = occurred_at - $1::interval"
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(endpoints, by)
        await connection.execute(events, by)
    finally:
        await connection.close()


async def replayed(rig: WebhookRig, merchant: str, event: str, key: str) -> None:
    command: dict[str, Any] = {"key": IdempotencyKey(key, b"f"), "event_id": event}
    await replay_webhooks(rig.deps, ReplayWebhooks(merchant, **command))


async def test_only_the_first_attempt_counts_from_the_event_on(
    rig: WebhookRig, database: TestDatabase
) -> None:
    seen, merchant = Seen(), await rig.a_merchant()
    _, (event,) = await rig.due(merchant, "/hook")
    await older(database, timedelta(seconds=40))
    rig.receiver.answers["/hook"] = status(500)
    assert await deliver_webhooks(rig.deps) == 1
    count, seconds = seen()
    assert (count, 40 <= seconds < 100) == (1, True)

    del rig.receiver.answers["/hook"]
    await rig.let_pass(timedelta(seconds=6))
    assert await deliver_webhooks(rig.deps) == 1
    await replayed(rig, merchant, event, "again")
    assert await deliver_webhooks(rig.deps) == 1
    assert (seen()[0], seen("failing")[0]) == (1, 0)


async def test_an_event_that_an_endpoint_gets_by_a_replay_alone_does_not_count(rig: WebhookRig) -> None:
    seen, merchant = Seen(), await rig.a_merchant()
    (event,) = await rig.happen(merchant)
    await fan_out_webhooks(rig.deps)
    endpoint = await rig.an_endpoint(merchant, "/later")
    await replayed(rig, merchant, event, "for the new one")
    assert await deliver_webhooks(rig.deps) == 1
    assert seen()[0] == 0
    assert [row.cycle for row in await rig.deliveries(endpoint["id"])] == [2]


async def test_a_receiver_that_fails_is_counted_apart(rig: WebhookRig) -> None:
    seen, merchant = Seen(), await rig.a_merchant()
    await rig.due(merchant, "/hook")
    rig.receiver.answers["/hook"] = status(500)
    await deliver_webhooks(rig.deps)
    await rig.happen(merchant)
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)
    assert (seen()[0], seen("failing")[0]) == (1, 1)


@pytest.mark.parametrize("stops", ["relay", "fan-out", "delivery"])
async def test_what_waits_is_seen_wherever_it_is_stuck(
    rig: WebhookRig, database: TestDatabase, stops: str
) -> None:
    assert await watch_webhooks(rig.deps) == 0
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/hook")
    await rig.happen(merchant, numbered=stops != "relay")
    if stops == "delivery":
        await fan_out_webhooks(rig.deps)
    await older(database, timedelta(seconds=90))
    assert 90 <= await watch_webhooks(rig.deps) < 95
    assert 90 <= (REGISTRY.get_sample_value("webhook_waiting_seconds") or 0) < 95

    await rig.number()
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)
    assert await watch_webhooks(rig.deps) == 0


async def test_what_waits_for_a_receiver_that_fails_is_its_own_affair(
    rig: WebhookRig, database: TestDatabase
) -> None:
    merchant = await rig.a_merchant()
    await rig.due(merchant, "/hook")
    rig.receiver.answers["/hook"] = status(500)
    await deliver_webhooks(rig.deps)
    await rig.happen(merchant)
    await fan_out_webhooks(rig.deps)
    await older(database, timedelta(seconds=90))
    assert await watch_webhooks(rig.deps) == 0
