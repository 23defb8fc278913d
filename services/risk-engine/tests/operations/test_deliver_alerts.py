"""Deliveries to real receivers: once each, again after a pause, given up at last, and nobody waits for the one that
hangs."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from alert_rig import EVE, Receiver, a_webhook, decided, receiving, rows, with_channels
from pydantic import SecretStr
from sqlalchemy import text

from risk_engine.domain.delivery import ATTEMPTS_MAX, PAUSES, pause_after
from risk_engine.operations import metrics
from risk_engine.operations.deliver_alerts import deliver_alerts
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.handle_alert import resolve_alert, try_channel
from risk_engine.operations.raise_alerts import raise_alerts
from risk_engine.operations.send_heartbeat import send_heartbeat

pytestmark = pytest.mark.timing

ALL_DUE = text("UPDATE risk.alert_delivery SET due_at = now() WHERE status = 'due'")
LOOKED = text("""
    INSERT INTO risk.job_run (job, slot, finished_at)
    VALUES ('risk.raise_alerts', now(), now() - CAST(:ago AS interval))
""")


async def deliveries(deps: Deps) -> list[tuple[str, str, int, str | None]]:
    found = await rows(
        deps, "SELECT channel, status, attempts, last_error FROM risk.alert_delivery ORDER BY channel, id"
    )
    return [tuple(row) for row in found]


async def later(deps: Deps) -> int:
    """A run after everybody's pause."""
    async with deps.engine.begin() as conn:
        await conn.execute(ALL_DUE)
    return await deliver_alerts(deps)


async def test_an_alert_is_told_once_and_its_end_too(deps: Deps) -> None:
    async with receiving(Receiver()) as receiver:
        telling = with_channels(deps, a_webhook(url=receiver.url))
        async with telling.alert_sender:
            await decided(deps, allow=45, block=15)
            (first, _) = await raise_alerts(telling)
            assert await deliver_alerts(telling) == 2
            assert await deliver_alerts(telling) == 0
            await resolve_alert(telling, first, EVE, "a test")
            assert await deliver_alerts(telling) == 1
    assert receiver.types == ["risk.alert.raised", "risk.alert.raised", "risk.alert.resolved"]
    assert {status for _, status, _, _ in await deliveries(deps)} == {"delivered"}


async def test_two_workers_at_once_tell_it_once(deps: Deps) -> None:
    async with receiving(Receiver()) as receiver:
        telling = with_channels(deps, a_webhook(url=receiver.url))
        async with telling.alert_sender:
            await decided(deps, allow=45, block=15)
            await raise_alerts(telling)
            attempts = await asyncio.gather(*(deliver_alerts(telling) for _ in range(4)))
    assert (sum(attempts), len(receiver.heard)) == (2, 2)


async def test_what_is_not_taken_comes_again_with_the_same_id_and_is_given_up_at_last(deps: Deps) -> None:
    async with receiving(Receiver(status=500)) as receiver:
        telling = with_channels(
            deps, a_webhook(url=receiver.url), {"name": "other", "kind": "apprise", "url": "json://x"}
        )
        async with telling.alert_sender:
            await try_channel(telling, "ops", EVE)
            assert await deliver_alerts(telling) == 1
            assert await deliver_alerts(telling) == 0, "a pause first"
            for attempt in range(2, ATTEMPTS_MAX + 1):
                assert await deliveries(deps) == [("ops", "due", attempt - 1, "status-500")]
                assert await later(telling) == 1
            assert await deliveries(deps) == [("ops", "given_up", ATTEMPTS_MAX, "status-500")]
            assert await later(telling) == 0
            assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1

            await raise_alerts(telling)  # the others hear of it, the channel itself does not
    (alert,) = (await find_alerts(deps, None, 10, kind="alert_undelivered"))["data"]
    assert (alert["scope"], alert["summary"]) == (
        "ops",
        "1 alerts were given up on the channel ops: status-500.",
    )
    assert [channel for channel, status, _, _ in await deliveries(deps) if status == "due"] == ["other"]


async def test_a_receiver_that_hangs_delays_nobody_else(deps: Deps) -> None:
    async with receiving(Receiver(hangs=True)) as hanging, receiving(Receiver()) as well:
        telling = with_channels(
            deps, a_webhook("hanging", hanging.url), a_webhook("well", well.url), timeout_s=5.0
        )
        async with telling.alert_sender:
            for _ in range(3):
                await try_channel(telling, "hanging", EVE)
            await try_channel(telling, "well", EVE)
            stuck = asyncio.create_task(deliver_alerts(telling))
            began_s = time.perf_counter()
            while len(well.heard) < 1 or len(hanging.heard) < 3:  # noqa: ASYNC110 - in another server
                await asyncio.sleep(0.01)
            await try_channel(telling, "well", EVE)  # due while the first run still waits
            assert await deliver_alerts(telling) == 1
            assert time.perf_counter() - began_s < 4
            assert (len(well.heard), stuck.done()) == (2, False)
            hanging.hangs = False
            assert await stuck == 4


async def test_what_is_due_on_a_channel_that_was_taken_out_is_given_up(deps: Deps) -> None:
    telling = with_channels(deps, a_webhook())
    await try_channel(telling, "ops", EVE)
    assert await deliver_alerts(deps) == 0
    assert await deliveries(deps) == [("ops", "given_up", 0, "no-such-channel")]


async def test_a_worker_that_died_gives_its_deliveries_back(deps: Deps) -> None:
    async with receiving(Receiver(hangs=True)) as receiver:
        telling = with_channels(deps, a_webhook(url=receiver.url))
        async with telling.alert_sender:
            await try_channel(telling, "ops", EVE)
            dying = asyncio.create_task(deliver_alerts(telling))
            while not receiver.heard:  # noqa: ASYNC110 - in another server
                await asyncio.sleep(0.01)
            dying.cancel()
            receiver.hangs = False
            assert await deliver_alerts(telling) == 0, "leased"
            assert await later(telling) == 1
    assert await deliveries(deps) == [("ops", "delivered", 2, None)]


def test_pauses_grow_and_end() -> None:
    assert list(PAUSES) == sorted(PAUSES)
    assert pause_after(ATTEMPTS_MAX - 1) == PAUSES[-1]
    assert pause_after(ATTEMPTS_MAX) is None


def heartbeats(outcome: str) -> float:
    return float(metrics.alert_heartbeats_total.labels(outcome)._value.get())


@pytest.mark.parametrize(("minutes", "outcome"), [(1, "sent"), (4, "withheld")])
async def test_the_dead_man_hears_of_us_while_alerting_works(deps: Deps, minutes: int, outcome: str) -> None:
    async with receiving(Receiver()) as receiver:
        telling = replace(with_channels(deps), settings=switched(deps, receiver.url))
        async with telling.alert_sender:
            async with deps.engine.begin() as conn:
                await conn.execute(LOOKED, {"ago": timedelta(minutes=minutes)})
            before = heartbeats(outcome)
            assert await send_heartbeat(telling) == outcome
            assert heartbeats(outcome) == before + 1
        assert len(receiver.heard) == (outcome == "sent")


def switched(deps: Deps, url: str) -> Any:
    return deps.settings.model_copy(update={"risk_dead_man_url": SecretStr(url)})


async def test_a_switch_that_does_not_answer_is_told_and_without_an_address_there_is_none(deps: Deps) -> None:
    assert await send_heartbeat(deps) == "off"
    async with deps.engine.begin() as conn:
        await conn.execute(LOOKED, {"ago": timedelta(seconds=1)})
    async with receiving(Receiver(status=404)) as receiver:
        telling = replace(with_channels(deps), settings=switched(deps, receiver.url))
        async with telling.alert_sender:
            assert await send_heartbeat(telling) == "failed"
