"""Endpoints over their life: filtered, changed, given new secrets, disabled by themselves, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from standardwebhooks import WebhookVerificationError
from webhook_rig import WebhookRig, parsed, status

from payment_gateway.domain import webhook_style
from payment_gateway.domain.webhook_keys import verify_v1a
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.find_audit_log import list_own_audit_log
from payment_gateway.operations.manage_webhook_endpoints import (
    ENDPOINTS_MAX,
    TooManyWebhookEndpoints,
    TooManyWebhookSecrets,
    delete_webhook_endpoint,
    get_webhook_endpoint,
    list_webhook_endpoints,
    register_webhook_endpoint,
    rotate_webhook_secret,
    update_webhook_endpoint,
)
from payment_gateway.operations.ping_webhook_endpoint import ping_webhook_endpoint
from payment_gateway.operations.replay_webhooks import WebhookEndpointDisabled
from platform_kit.problems import NotFound

HOUR = timedelta(hours=1)


async def send(rig: WebhookRig) -> None:
    await rig.number()
    await fan_out_webhooks(rig.deps)
    await deliver_webhooks(rig.deps)


@pytest.mark.parametrize(
    ("event_types", "heard"),
    [
        (None, 1),
        (["payment.captured.v1"], 1),
        (["refund.*", "payment.*"], 1),
        (["payment.captured.v2"], 0),
        (["pay.*"], 0),
        (["refund.*"], 0),
    ],
    ids=str,
)
async def test_an_endpoint_hears_only_of_the_types_it_wants(
    rig: WebhookRig, event_types: list[str] | None, heard: int
) -> None:
    merchant = await rig.a_merchant()
    await register_webhook_endpoint(rig.deps, merchant, rig.receiver.url + "/hook", event_types=event_types)
    await rig.happen(merchant)  # payment.captured.v1
    assert await fan_out_webhooks(rig.deps) == heard


async def test_the_old_secret_signs_until_its_overlap_is_over(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    old = await rig.an_endpoint(merchant, "/hook")
    new = await rotate_webhook_secret(rig.deps, merchant, old["id"], HOUR)
    assert new["secret"] != old["secret"]
    assert len(new["public_keys"]) == 2
    assert len(new["retiring_secrets"]) == 1
    await rig.happen(merchant)
    await send(rig)
    assert len(rig.receiver.events("/hook", old["secret"])) == 1
    ((headers, body),) = rig.receiver.heard["/hook"]
    for key in new["public_keys"]:
        at = headers["webhook-timestamp"]
        verify_v1a(key, headers["webhook-id"], at, headers["webhook-signature"], body)

    await rig.execute(
        "UPDATE payments.webhook_endpoint SET retiring ="
        " jsonb_set(retiring, '{0,expires_at}', '\"2026-01-01T00:00:00Z\"')"
    )
    rig.receiver.heard.clear()
    await rig.happen(merchant)
    await send(rig)
    assert len(rig.receiver.events("/hook", new["secret"])) == 1
    with pytest.raises(WebhookVerificationError):
        rig.receiver.events("/hook", old["secret"])
    assert (await get_webhook_endpoint(rig.deps, merchant, old["id"]))["retiring_secrets"] == []


async def test_a_leaked_secret_is_replaced_at_once(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    old = await rig.an_endpoint(merchant, "/hook")
    await rotate_webhook_secret(rig.deps, merchant, old["id"], HOUR)
    new = await rotate_webhook_secret(rig.deps, merchant, old["id"], timedelta(0))
    await rig.happen(merchant)
    await send(rig)
    ((headers, _),) = rig.receiver.heard["/hook"]
    assert headers["webhook-signature"].count("v1,") == 1
    assert len(rig.receiver.events("/hook", new["secret"])) == 1


async def test_there_are_never_more_than_a_few_live_secrets(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint = await rig.an_endpoint(merchant, "/hook")
    for _ in range(4):
        await rotate_webhook_secret(rig.deps, merchant, endpoint["id"], HOUR)
    with pytest.raises(TooManyWebhookSecrets):
        await rotate_webhook_secret(rig.deps, merchant, endpoint["id"], HOUR)


async def fail_since(rig: WebhookRig, hours: float) -> None:
    """As if the last failure were an hour old, and the first one `hours`."""
    await rig.execute(
        "UPDATE payments.webhook_endpoint SET last_failed_at = now() - interval '1 hour',"
        " failing_since = now() - make_interval(secs => :seconds) WHERE failing_since IS NOT NULL",
        seconds=hours * 3600,
    )


async def test_an_endpoint_that_fails_for_five_days_is_disabled_and_the_others_are_told(
    rig: WebhookRig,
) -> None:
    merchant = await rig.a_merchant()
    broken, _ = await rig.due(merchant, "/broken")
    alarm = await rig.an_endpoint(merchant, "/alarm")
    rig.receiver.answers["/broken"] = status(500)
    counted = REGISTRY.get_sample_value("webhook_endpoints_disabled_total", {"reason": "failing"}) or 0
    await deliver_webhooks(rig.deps)

    await fail_since(rig, 119.9)
    await rig.let_pass(timedelta(seconds=10))
    await deliver_webhooks(rig.deps)
    shown = await get_webhook_endpoint(rig.deps, merchant, broken["id"])
    assert shown["enabled"]
    assert shown["failing_since"]

    await fail_since(rig, 120.1)
    await rig.let_pass(timedelta(minutes=10))
    await deliver_webhooks(rig.deps)
    shown = await get_webhook_endpoint(rig.deps, merchant, broken["id"])
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "failing")
    (delivery,) = await rig.deliveries(broken["id"])
    assert (delivery.status, delivery.last_error) == ("dead", "endpoint-disabled")
    await send(rig)
    (told,) = rig.receiver.events("/alarm", alarm["secret"])
    assert (told["type"], told["data"]["reason"]) == ("webhook_endpoint.disabled.v1", "failing")
    assert told["data"]["webhook_endpoint"]["id"] == broken["id"]
    assert "secret" not in told["data"]["webhook_endpoint"]
    assert REGISTRY.get_sample_value("webhook_endpoints_disabled_total", {"reason": "failing"}) == counted + 1


async def test_one_success_ends_a_row_of_failures(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook", 1)
    rig.receiver.answers["/hook"] = status(500)
    await deliver_webhooks(rig.deps)
    await fail_since(rig, 119)
    del rig.receiver.answers["/hook"]
    await rig.let_pass(timedelta(seconds=10))
    await deliver_webhooks(rig.deps)
    assert (await get_webhook_endpoint(rig.deps, merchant, endpoint["id"]))["failing_since"] is None


async def test_two_lone_failures_a_week_apart_are_no_outage(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook")
    rig.receiver.answers["/hook"] = status(500)
    await deliver_webhooks(rig.deps)
    await rig.execute(
        "UPDATE payments.webhook_endpoint SET failing_since = now() - interval '7 days',"
        " last_failed_at = now() - interval '7 days'"
    )
    await rig.let_pass(timedelta(seconds=10))
    await deliver_webhooks(rig.deps)
    assert (await get_webhook_endpoint(rig.deps, merchant, endpoint["id"]))["enabled"]


async def test_an_endpoint_that_is_enabled_again_starts_afresh(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook")
    rig.receiver.answers["/hook"] = status(410)
    await deliver_webhooks(rig.deps)
    gone = await get_webhook_endpoint(rig.deps, merchant, endpoint["id"])
    assert (gone["enabled"], gone["disabled_reason"]) == (False, "gone")
    (act, *_) = (await list_own_audit_log(rig.deps, merchant, before=None, action=None, limit=1)).entries
    assert (act["action"], act["actor"]["type"], act["details"]) == (
        "webhook_endpoint.disabled",
        "platform",
        {"reason": "gone"},
    )
    back = await update_webhook_endpoint(rig.deps, merchant, endpoint["id"], {"enabled": True})
    assert (back["enabled"], back["disabled_at"], back["disabled_reason"], back["failing_since"]) == (
        True, None, None, None,
    )  # fmt: skip
    del rig.receiver.answers["/hook"]
    await rig.happen(merchant)
    await send(rig)
    types = [event["type"] for event in rig.receiver.events("/hook", endpoint["secret"])]
    assert types.count("payment.captured.v1") == 2


async def test_what_a_merchant_disables_gets_nothing_more_and_raises_no_alarm(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook", 3)
    shown = await update_webhook_endpoint(rig.deps, merchant, endpoint["id"], {"enabled": False})
    assert shown["disabled_reason"] == "merchant"
    await send(rig)
    assert rig.receiver.heard == {}
    assert {row.status for row in await rig.deliveries()} == {"dead"}


async def test_what_became_due_while_an_endpoint_was_being_disabled_is_not_sent(rig: WebhookRig) -> None:
    endpoint, _ = await rig.due(await rig.a_merchant(), "/hook", 3)
    await rig.execute("UPDATE payments.webhook_endpoint SET enabled = false")
    assert await deliver_webhooks(rig.deps) == 0
    assert {row.last_error for row in await rig.deliveries(endpoint["id"])} == {"endpoint-disabled"}
    assert rig.receiver.heard == {}


async def test_a_deleted_endpoint_is_seen_and_spoken_to_no_more(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    endpoint, _ = await rig.due(merchant, "/hook")
    await delete_webhook_endpoint(rig.deps, merchant, endpoint["id"])
    await rig.happen(merchant)
    await send(rig)
    assert rig.receiver.heard == {}
    assert (await list_webhook_endpoints(rig.deps, merchant)).endpoints == []
    for attempt in (get_webhook_endpoint, delete_webhook_endpoint, ping_webhook_endpoint):
        with pytest.raises(NotFound):
            await attempt(rig.deps, merchant, endpoint["id"])


async def test_enabling_one_too_many_is_refused(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    first = await rig.an_endpoint(merchant, "/first")
    await update_webhook_endpoint(rig.deps, merchant, first["id"], {"enabled": False})
    for number in range(ENDPOINTS_MAX):
        await rig.an_endpoint(merchant, f"/{number}")
    with pytest.raises(TooManyWebhookEndpoints):
        await update_webhook_endpoint(rig.deps, merchant, first["id"], {"enabled": True})


async def test_a_ping_goes_to_its_endpoint_alone_whatever_that_wants(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    quiet = await register_webhook_endpoint(
        rig.deps, merchant, rig.receiver.url + "/quiet", event_types=["refund.*"]
    )
    await rig.an_endpoint(merchant, "/other")
    ping = await ping_webhook_endpoint(rig.deps, merchant, quiet["id"])
    await send(rig)
    assert list(rig.receiver.heard) == ["/quiet"]
    (event,) = rig.receiver.events("/quiet", quiet["secret"])
    assert (event["id"], event["type"]) == (ping["event_id"], "webhook_endpoint.ping.v1")
    await update_webhook_endpoint(rig.deps, merchant, quiet["id"], {"enabled": False})
    with pytest.raises(WebhookEndpointDisabled):
        await ping_webhook_endpoint(rig.deps, merchant, quiet["id"])


async def test_the_worker_of_the_last_release_may_go_on_writing(rig: WebhookRig) -> None:
    """Its INSERT names none of the new columns, and what it made is delivered: with v1 alone."""
    merchant = await rig.a_merchant()
    await rig.execute(
        "INSERT INTO payments.webhook_endpoint (id, merchant_id, url, secret)"
        " VALUES ('we_01m8bt5hnse4s9j8axranmyynb', :merchant, :url, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')",
        merchant=merchant,
        url=rig.receiver.url + "/old",
    )
    await rig.happen(merchant)
    await send(rig)
    ((headers, body),) = rig.receiver.heard["/old"]
    assert [part[:3] for part in headers["webhook-signature"].split(" ")] == ["v1,"]
    assert parsed(body)["type"] == "payment.captured.v1"


async def test_an_attempt_is_history(rig: WebhookRig) -> None:
    await rig.due(await rig.a_merchant(), "/hook")
    await deliver_webhooks(rig.deps)
    for statement in (
        "UPDATE payments.webhook_attempt SET number = 9",
        "DELETE FROM payments.webhook_attempt",
    ):
        with pytest.raises(Exception, match="permission denied"):
            await rig.execute(statement)


async def test_a_renderer_that_fails_stops_nobody_else(rig: WebhookRig, monkeypatch: Any) -> None:
    merchant = await rig.a_merchant()
    await register_webhook_endpoint(rig.deps, merchant, rig.receiver.url + "/odd", style="stripe")
    await rig.an_endpoint(merchant, "/plain")
    monkeypatch.setitem(webhook_style.RENDERERS, "stripe", lambda event: event.no_such_thing)
    await rig.happen(merchant)
    await send(rig)
    assert list(rig.receiver.heard) == ["/plain"]
    assert sorted((row.status, row.last_error) for row in await rig.deliveries()) == [
        ("delivered", None), ("due", "not-rendered"),
    ]  # fmt: skip


async def test_an_endpoint_in_stripes_style_is_spoken_to_in_both(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    made = await register_webhook_endpoint(rig.deps, merchant, rig.receiver.url + "/s", style="stripe")
    await ping_webhook_endpoint(rig.deps, merchant, made["id"])
    await rig.number()
    await deliver_webhooks(rig.deps)
    ((headers, body),) = rig.receiver.heard["/s"]
    assert orjson.loads(body)["object"] == "event"
    assert headers["stripe-signature"].startswith(f"t={headers['webhook-timestamp']},v1=")
    assert len(rig.receiver.events("/s", made["secret"])) == 1
