"""Every event reaches every endpoint of its merchant as one delivery, however often and from wherever this runs."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text
from webhook_rig import WebhookRig

from payment_gateway.operations import fan_out_webhooks as module
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks


async def position(rig: WebhookRig) -> int:
    async with rig.deps.engine.connect() as connection:
        return int(
            (await connection.execute(text("SELECT position FROM payments.webhook_cursor"))).scalar_one()
        )


async def test_an_event_becomes_one_delivery_for_each_endpoint_of_its_merchant(rig: WebhookRig) -> None:
    merchant, other = await rig.a_merchant(), await rig.a_merchant()
    mine = [(await rig.an_endpoint(merchant, path))["id"] for path in ("/a", "/b")]
    theirs = (await rig.an_endpoint(other, "/c"))["id"]
    events = await rig.happen(merchant, 3)
    await rig.happen(None)
    assert await fan_out_webhooks(rig.deps) == 6
    found = await rig.deliveries()
    assert Counter((row.endpoint_id, row.event_id) for row in found) == Counter(
        (e, v) for e in mine for v in events
    )
    assert all((row.status, row.attempts) == ("due", 0) and row.due_in_s <= 0 for row in found)
    assert theirs not in {row.endpoint_id for row in found}
    assert await position(rig) == 6, "the two merchants were told, too"


async def test_running_again_adds_nothing(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/a", 3)
    assert await fan_out_webhooks(rig.deps) == 0
    await rig.execute(
        "UPDATE payments.webhook_cursor SET position = 0"
    )  # as after a restore of an old backup
    assert await fan_out_webhooks(rig.deps) == 0
    assert len(await rig.deliveries()) == 3


async def test_runs_at_the_same_time_add_each_delivery_once(
    rig: WebhookRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_MAX", 7)
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/a")
    await rig.happen(merchant, 100)
    added = await asyncio.gather(*(fan_out_webhooks(rig.deps) for _ in range(5)))
    added.append(await fan_out_webhooks(rig.deps))
    assert sum(added) == 100
    assert len(await rig.deliveries()) == 100


async def test_a_second_run_leaves_instead_of_waiting_for_the_first(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/a")
    await rig.happen(merchant)
    async with rig.deps.engine.begin() as first:
        await first.execute(text("SELECT 1 FROM payments.webhook_cursor FOR UPDATE"))
        async with asyncio.timeout(30):
            assert await fan_out_webhooks(rig.deps) == 0
    assert await fan_out_webhooks(rig.deps) == 1


async def test_an_event_without_a_position_waits_for_one(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/a")
    await rig.happen(merchant, numbered=False)
    assert await fan_out_webhooks(rig.deps) == 0
    await rig.number()
    assert await fan_out_webhooks(rig.deps) == 1


async def test_an_endpoint_hears_of_nothing_older_than_itself(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    await rig.happen(merchant, numbered=False)
    await rig.an_endpoint(merchant, "/late")
    (new,) = await rig.happen(merchant)
    assert await fan_out_webhooks(rig.deps) == 1
    assert [row.event_id for row in await rig.deliveries()] == [new]


async def test_a_disabled_endpoint_gets_nothing(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/a")
    await rig.execute("UPDATE payments.webhook_endpoint SET enabled = false")
    await rig.happen(merchant)
    assert await fan_out_webhooks(rig.deps) == 0


async def test_a_run_that_dies_half_way_leaves_nothing_behind_and_nothing_out(
    rig: WebhookRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await rig.a_merchant()
    await rig.an_endpoint(merchant, "/a")
    await rig.happen(merchant, 3)

    async def die(*_: object) -> None:
        raise ConnectionError("killed between the deliveries and the cursor")

    with monkeypatch.context() as patched:
        patched.setattr(module.webhooks, "move_cursor", die)
        with pytest.raises(ConnectionError):
            await fan_out_webhooks(rig.deps)
    assert await rig.deliveries() == []
    assert await fan_out_webhooks(rig.deps) == 3
