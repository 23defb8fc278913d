"""Deliveries arrive, once to the wise, and a bad receiver hurts nobody but itself (reliability.md P11)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from lying_server import run_lying_server
from prometheus_client import REGISTRY
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_rig import WebhookRig, cut, drip_body, hang, parsed, run_webhook_rig, status

from payment_gateway.domain.webhook import SCHEDULE
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.deps import open_deps
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.manage_webhook_endpoints import rotate_webhook_secret
from payment_gateway.store import webhook_endpoints, webhooks
from payment_gateway.store.events import page
from platform_cli.embedded.testing import FreshDatabase

pytestmark = pytest.mark.timing
TIMEOUT_S = 1.0


@pytest.fixture
async def rig(fresh_database: FreshDatabase) -> AsyncIterator[WebhookRig]:
    """One that soon gives up a receiver that hangs."""
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url, webhook_timeout_s=TIMEOUT_S) as running:
        yield running


async def the_only(rig: WebhookRig) -> Any:
    (delivery,) = await rig.deliveries()
    return delivery


async def test_an_event_arrives_signed_and_as_the_events_api_shows_it(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, (event_id,) = await rig.due(merchant, "/hook")
    assert await deliver_webhooks(rig.deps) == 1
    ((headers, body),) = rig.receiver.heard["/hook"]
    assert headers["webhook-id"] == event_id
    assert headers["content-type"] == "application/json"
    Webhook(endpoint["secret"]).verify(body, headers)
    async with rig.deps.engine.connect() as connection:
        assert [parsed(body)] == list(await page(connection, merchant, limit=10))
    assert "position" not in parsed(body)
    delivery = await the_only(rig)
    assert (delivery.status, delivery.attempts, delivery.last_status_code) == ("delivered", 1, 200)
    assert (delivery.due_at, delivery.last_error) == (None, None)
    assert delivery.delivered_at is not None


async def test_each_endpoint_has_its_own_secret(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    first, second = await rig.an_endpoint(merchant, "/a"), await rig.an_endpoint(merchant, "/b")
    await rig.happen(merchant)
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)
    assert len(rig.receiver.events("/a", first["secret"])) == 1
    with pytest.raises(WebhookVerificationError):
        rig.receiver.events("/a", second["secret"])


async def test_during_a_rotation_both_secrets_verify(rig: WebhookRig) -> None:
    old, _ = await rig.due(await rig.a_merchant(), "/hook")
    merchant = await rig.merchant_of(old["id"])
    new = await rotate_webhook_secret(rig.deps, merchant, old["id"], timedelta(hours=1))
    await deliver_webhooks(rig.deps)
    for secret in (new["secret"], old["secret"]):
        assert len(rig.receiver.events("/hook", secret)) == 1


async def test_a_delivered_event_is_not_sent_again(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    assert await deliver_webhooks(rig.deps) == 1
    await rig.let_pass(timedelta(days=9))
    assert await deliver_webhooks(rig.deps) == 0


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (status(500), 500, None),
        (status(404), 404, None),
        (status(302, Location="/elsewhere"), 302, None),
        (hang, None, "timeout"),
        (cut, None, "connection"),
    ],
    ids=["500", "404", "redirect", "hang", "reset"],
)
async def test_a_failure_is_kept_with_its_cause_and_tried_again_in_five_seconds(
    rig: WebhookRig, answer: Any, code: int | None, error: str | None
) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = answer
    assert await deliver_webhooks(rig.deps) == 1
    delivery = await the_only(rig)
    assert (delivery.status, delivery.attempts) == ("due", 1)
    assert (delivery.last_status_code, delivery.last_error) == (code, error)
    assert 3 < delivery.due_in_s <= 5.5
    assert await deliver_webhooks(rig.deps) == 0, "not before it is due"
    assert "/elsewhere" not in rig.receiver.heard

    del rig.receiver.answers["/hook"]
    await rig.let_pass(timedelta(seconds=6))
    assert await deliver_webhooks(rig.deps) == 1
    assert (await the_only(rig)).status == "delivered"


async def test_the_whole_schedule_is_run_through_with_one_id_and_fresh_timestamps(rig: WebhookRig) -> None:
    endpoint, (event_id,) = await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = status(503)
    for attempt, pause in enumerate([*SCHEDULE[1:], None], start=1):
        assert await deliver_webhooks(rig.deps) == 1
        delivery = await the_only(rig)
        assert delivery.attempts == attempt
        if pause is not None:
            assert pause.total_seconds() - 2 <= delivery.due_in_s <= pause.total_seconds() * 1.1
            await rig.let_pass(pause * 1.1 + timedelta(seconds=1))
    assert (delivery.status, delivery.due_at, delivery.last_status_code) == ("dead", None, 503)
    came = rig.receiver.heard["/hook"]
    assert len(came) == 10
    assert {headers["webhook-id"] for headers, _ in came} == {event_id}
    assert len({body for _, body in came}) == 1, "the same bytes each time"
    assert len(rig.receiver.events("/hook", endpoint["secret"])) == 10


async def test_each_attempt_is_signed_at_its_own_time(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = status(500)
    await deliver_webhooks(rig.deps)
    await asyncio.sleep(1.1)
    await rig.let_pass(timedelta(seconds=9))
    await deliver_webhooks(rig.deps)
    first, second = (int(headers["webhook-timestamp"]) for headers, _ in rig.receiver.heard["/hook"])
    assert second > first
    assert abs(second - time.time()) < 5


@pytest.mark.parametrize("code", [429, 503])
async def test_a_receiver_may_ask_for_more_time(rig: WebhookRig, code: int) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = status(code, Retry_After="120")
    await deliver_webhooks(rig.deps)
    assert 115 < (await the_only(rig)).due_in_s <= 120


async def test_410_disables_the_endpoint_and_says_so_of_what_was_due(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/gone", 30)
    other, _ = await rig.due(merchant, "/kept")
    rig.receiver.answers["/gone"] = status(410)
    await deliver_webhooks(rig.deps)
    gone = await rig.deliveries(endpoint["id"])
    assert {row.status for row in gone} == {"dead"}
    assert {row.last_error for row in gone if row.attempts == 0} == {"endpoint-disabled"}
    assert len(rig.receiver.heard["/gone"]) == 1
    assert [row.status for row in await rig.deliveries(other["id"])] == ["delivered"]
    await rig.happen(merchant)
    assert await fan_out_webhooks(rig.deps) == 2, "only for the endpoint that is left: this, and the alert"


async def drip_head(writer: asyncio.StreamWriter) -> None:
    """A byte every tenth of a second, and never a whole head."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"." * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def test_a_receiver_that_drips_is_given_up_in_time_and_delays_nobody_else(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    async with run_lying_server(drip_head) as dripping:
        slow = await rig.an_endpoint_at(merchant, dripping.url + "/drip")
        await rig.an_endpoint(merchant, "/quick")
        await rig.happen(merchant, 50)
        await fan_out_webhooks(rig.deps)
        run = asyncio.create_task(deliver_webhooks(rig.deps))
        started = time.monotonic()
        await heard(rig, "/quick", 50)
        assert time.monotonic() - started < TIMEOUT_S, "before the first dripping attempt has ended"
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert len(dripping.requests) <= 1, "a stranger has one place"
    assert {row.status for row in await rig.deliveries(slow["id"])} == {"due"}


async def heard(rig: WebhookRig, path: str, count: int) -> None:
    async with asyncio.timeout(15):
        while len(rig.receiver.heard.get(path, [])) < count:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)


async def test_a_receiver_that_hangs_delays_nobody_else(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url, webhook_timeout_s=20) as rig:
        hanging, merchant = await rig.a_merchant(), await rig.a_merchant()
        endpoint, _ = await rig.due(hanging, "/hanging", 300)
        await rig.due(merchant, "/quick", 100)
        rig.receiver.answers["/hanging"] = hang
        run = asyncio.create_task(deliver_webhooks(rig.deps))
        await heard(rig, "/quick", 100)
        await asyncio.sleep(0.5)  # now the run has nothing left but the one that hangs
        await rig.due(merchant, "/late")
        await heard(rig, "/late", 1)
        taken = [row for row in await rig.deliveries(endpoint["id"]) if row.due_in_s > 0]
        assert not run.done()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert len(taken) == 1, "one that does not answer holds one place"


async def test_an_endpoint_that_fails_is_tried_one_at_a_time(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/bad", 20)
    at_once = most = 0

    async def fail(_: web.Request) -> web.Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1
        return web.Response(status=500)

    rig.receiver.answers["/bad"] = fail
    assert await deliver_webhooks(rig.deps) == 20
    assert most == 1


async def test_a_body_that_drips_for_ever_is_delivered_with_its_head(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url, webhook_timeout_s=20) as rig:
        await rig.due(await rig.a_merchant(), "/drip")
        rig.receiver.answers["/drip"] = drip_body
        async with asyncio.timeout(15):
            await deliver_webhooks(rig.deps)
        assert (await the_only(rig)).status == "delivered"


async def test_many_deliveries_all_arrive_once(rig: WebhookRig) -> None:
    endpoint, events = await rig.due(await rig.a_merchant(), "/hook", 500)
    assert await deliver_webhooks(rig.deps) == 500
    came = rig.receiver.events("/hook", endpoint["secret"])
    assert sorted(event["id"] for event in came) == sorted(events)


async def test_two_workers_share_the_work_and_send_nothing_twice(rig: WebhookRig) -> None:
    _, events = await rig.due(await rig.a_merchant(), "/hook", 300)
    async with open_deps(rig.deps.settings) as second:
        made = await asyncio.gather(deliver_webhooks(rig.deps), deliver_webhooks(second))
    assert sum(made) == 300
    assert all(count > 0 for count in made)
    came = [headers["webhook-id"] for headers, _ in rig.receiver.heard["/hook"]]
    assert sorted(came) == sorted(events)


async def test_two_claims_at_the_same_moment_neither_wait_nor_take_the_same(rig: WebhookRig) -> None:
    endpoint, _ = await rig.due(await rig.a_merchant(), "/hook", 10)
    free = {endpoint["id"]: 5}
    async with rig.deps.engine.begin() as first, rig.deps.engine.begin() as second, asyncio.timeout(30):
        mine = await webhooks.claim_due(first, 100, 5, free)
        yours = await webhooks.claim_due(second, 100, 5, free)
    assert (len(mine), len(yours)) == (5, 5)
    assert not {delivery.id for delivery in mine} & {delivery.id for delivery in yours}


async def test_one_process_runs_one_delivery_at_a_time_and_the_second_run_leaves(
    fresh_database: FreshDatabase,
) -> None:
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url, webhook_timeout_s=20) as rig:
        await rig.due(await rig.a_merchant(), "/hanging")
        rig.receiver.answers["/hanging"] = hang
        run = asyncio.create_task(deliver_webhooks(rig.deps))
        await heard(rig, "/hanging", 1)
        async with asyncio.timeout(10):
            assert await deliver_webhooks(rig.deps) == 0
        assert not run.done()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_what_a_killed_worker_had_taken_is_sent_when_its_lease_ends(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = hang
    run = asyncio.create_task(deliver_webhooks(rig.deps))
    await asyncio.sleep(0.1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    del rig.receiver.answers["/hook"]
    assert await deliver_webhooks(rig.deps) == 0, "still leased"
    await rig.let_pass(timedelta(seconds=61))
    assert await deliver_webhooks(rig.deps) == 1
    assert (await the_only(rig)).status == "delivered"


async def test_a_late_failure_does_not_undo_what_another_worker_delivered(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    rig.receiver.answers["/hook"] = hang
    stalled = asyncio.create_task(deliver_webhooks(rig.deps))
    await asyncio.sleep(0.1)
    await rig.let_pass(timedelta(seconds=61))  # its lease is over, and it does not know
    del rig.receiver.answers["/hook"]
    async with open_deps(rig.deps.settings) as second:
        assert await deliver_webhooks(second) == 1
    await stalled
    delivery = await the_only(rig)
    assert (delivery.status, delivery.last_error) == ("delivered", None)


async def test_a_success_is_recorded_even_of_what_was_given_up_meanwhile(rig: WebhookRig) -> None:
    endpoint, _ = await rig.due(await rig.a_merchant(), "/hook")

    async def be_disabled_first(_: web.Request) -> web.Response:
        async with rig.deps.engine.begin() as connection:
            await webhook_endpoints.disable(connection, [endpoint["id"]], "gone")
        return web.Response()

    rig.receiver.answers["/hook"] = be_disabled_first
    assert await deliver_webhooks(rig.deps) == 1
    delivery = await the_only(rig)
    assert (delivery.status, delivery.last_error) == ("delivered", None)


async def test_a_name_that_now_points_inside_is_not_reached_and_keeps_its_place_in_the_schedule(
    rig: WebhookRig,
) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    await rig.execute("UPDATE payments.webhook_endpoint SET url = 'http://169.254.169.254/latest/meta-data'")
    await deliver_webhooks(rig.deps)
    delivery = await the_only(rig)
    assert (delivery.status, delivery.last_error, delivery.last_status_code) == ("due", "not-allowed", None)


async def test_no_transaction_is_open_while_a_receiver_is_waited_for(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/slow")
    rig.receiver.answers["/slow"] = hang
    run = asyncio.create_task(deliver_webhooks(rig.deps))
    await asyncio.sleep(TIMEOUT_S / 2)
    assert rig.deps.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    await run


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_attempts_and_what_was_given_up_are_counted(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    before = {
        outcome: counted("webhook_attempts_total", outcome=outcome) for outcome in ("2xx", "4xx", "timeout")
    }
    dead = counted("webhook_dead_total", cause="gone")
    for path, answer in (("/ok", status(200)), ("/gone", status(410)), ("/slow", hang)):
        await rig.an_endpoint(merchant, path)
        rig.receiver.answers[path] = answer
    await rig.happen(merchant)
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)
    assert {outcome: counted("webhook_attempts_total", outcome=outcome) - was for outcome, was in before.items()} == {
        "2xx": 1, "4xx": 1, "timeout": 1,
    }  # fmt: skip
    assert counted("webhook_dead_total", cause="gone") - dead == 1
    assert counted("webhook_fanned_out_position") == 2, "the merchant was told, too"
