"""Sending again: the same event under the same id, as a new cycle, once per key, and nobody else's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from webhook_rig import WebhookRig, parsed, status

from payment_gateway.operations import replay_webhooks as module
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.find_webhook_deliveries import list_webhook_deliveries
from payment_gateway.operations.manage_webhook_endpoints import update_webhook_endpoint
from payment_gateway.operations.replay_webhooks import (
    ReplayWebhooks,
    WebhookEndpointDisabled,
    replay_webhooks,
)
from payment_gateway.store import webhooks
from payment_gateway.store.webhooks import AttemptRecord
from platform_kit.idempotency import IdempotencyKey
from platform_kit.problems import NotFound

_keys = count()


async def replay(rig: WebhookRig, merchant: str, *, key: str | None = None, **what: Any) -> dict[str, Any]:
    command = ReplayWebhooks(merchant_id=merchant, key=IdempotencyKey(key or f"k{next(_keys)}", b"f"), **what)
    return parsed((await replay_webhooks(rig.deps, command)).body)


def ids_heard(rig: WebhookRig, path: str) -> list[str]:
    return [headers["webhook-id"] for headers, _ in rig.receiver.heard.get(path, [])]


async def test_an_event_is_sent_again_under_its_own_id_as_a_new_cycle(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, (event,) = await rig.due(merchant, "/hook")
    await deliver_webhooks(rig.deps)
    assert (await replay(rig, merchant, event_id=event))["deliveries"] == 1
    await deliver_webhooks(rig.deps)
    assert ids_heard(rig, "/hook") == [event, event]
    assert len({body for _, body in rig.receiver.heard["/hook"]}) == 1
    (delivery,) = (
        await list_webhook_deliveries(
            rig.deps, merchant, endpoint_id=endpoint["id"], event_id=None, status=None, before=None, limit=10
        )
    ).deliveries
    assert (delivery["cycle"], delivery["status"], delivery["attempt_count"]) == (2, "delivered", 1)
    assert [(one["cycle"], one["number"], one["status_code"]) for one in delivery["attempts"]] == [
        (1, 1, 200), (2, 1, 200),
    ]  # fmt: skip


async def test_a_repeated_key_replays_once_also_in_a_race(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    _, (event,) = await rig.due(merchant, "/hook")
    await deliver_webhooks(rig.deps)
    answers = await asyncio.gather(*(replay(rig, merchant, key="same", event_id=event) for _ in range(5)))
    assert answers == [answers[0]] * 5
    await deliver_webhooks(rig.deps)
    assert await replay(rig, merchant, key="same", event_id=event) == answers[0]
    assert await deliver_webhooks(rig.deps) == 0
    assert ids_heard(rig, "/hook") == [event, event]


async def test_what_an_endpoint_missed_while_it_was_disabled_is_made_up(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, (dead,) = await rig.due(merchant, "/hook")
    await rig.an_endpoint(merchant, "/other")
    rig.receiver.answers["/hook"] = status(410)
    await deliver_webhooks(rig.deps)
    missed = await rig.happen(merchant, 3)
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)
    with pytest.raises(WebhookEndpointDisabled):
        await replay(rig, merchant, endpoint_id=endpoint["id"])

    await update_webhook_endpoint(rig.deps, merchant, endpoint["id"], {"enabled": True})
    del rig.receiver.answers["/hook"]
    rig.receiver.heard.clear()
    await replay(rig, merchant, endpoint_id=endpoint["id"], undelivered_only=True)
    await deliver_webhooks(rig.deps)
    assert {dead, *missed} <= set(ids_heard(rig, "/hook"))
    assert ids_heard(rig, "/other") == []


async def test_a_time_range_holds_its_first_moment_and_not_its_last(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    await rig.due(merchant, "/hook", 3)
    await deliver_webhooks(rig.deps)
    now = datetime.now(UTC)
    assert (await replay(rig, merchant, since=now + timedelta(hours=1)))["events"] == 0
    assert (await replay(rig, merchant, since=now - timedelta(hours=1), until=now))["deliveries"] == 3
    assert (await replay(rig, merchant, since=now - timedelta(hours=1), until=now))["deliveries"] == 0, (
        "still due"
    )


async def test_a_large_replay_comes_in_pages(rig: WebhookRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_MAX", 4)
    merchant = await rig.a_merchant()
    endpoint, events = await rig.due(merchant, "/hook", 10)
    await deliver_webhooks(rig.deps)
    pages, after = [], None
    while True:
        page = await replay(rig, merchant, endpoint_id=endpoint["id"], after=after)
        pages.append(page["deliveries"])
        after = page["next_after"]
        if not page["has_more"]:
            break
    assert (pages, after) == ([4, 4, 2], None)
    await deliver_webhooks(rig.deps)
    assert sorted(ids_heard(rig, "/hook")) == sorted(events * 2)


async def test_undelivered_only_leaves_alone_what_arrived(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook", 2)
    await deliver_webhooks(rig.deps)
    assert (await replay(rig, merchant, endpoint_id=endpoint["id"], undelivered_only=True))["deliveries"] == 0


async def test_another_merchants_event_and_endpoint_are_as_absent_as_none(rig: WebhookRig) -> None:
    merchant, other = await rig.a_merchant(), await rig.a_merchant()
    endpoint, (event,) = await rig.due(merchant, "/hook")
    await deliver_webhooks(rig.deps)
    await rig.an_endpoint(other, "/other")
    for what in ({"event_id": event}, {"endpoint_id": endpoint["id"]}, {"after": event}):
        with pytest.raises(NotFound):
            await replay(rig, other, **what)
    assert (await replay(rig, other, since=datetime(2020, 1, 1, tzinfo=UTC)))["events"] == 0
    assert await deliver_webhooks(rig.deps) == 0


async def test_a_late_answer_of_the_cycle_before_decides_nothing(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    _, (event,) = await rig.due(merchant, "/hook")
    await deliver_webhooks(rig.deps)
    (delivery,) = await rig.deliveries()
    await replay(rig, merchant, event_id=event)
    late = AttemptRecord(
        id=delivery.id, cycle=1, number=2, status="delivered", status_code=200, error=None, pause=None,
        seconds=1.0,
    )  # fmt: skip
    async with rig.deps.engine.begin() as connection:
        await webhooks.record_attempts(connection, [late])
    assert [row.status for row in await rig.deliveries()] == ["due"]
