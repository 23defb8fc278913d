"""The official client on events and webhook endpoints; `stripe.Webhook` believes what we send."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import stripe
from stripe_rig import Shop
from webhook_rig import Receiver, run_receiver

from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay


async def number(shop: Shop) -> None:
    """What the relay does before it publishes: only numbered events are told."""
    await Relay(shop.gateway.deps.engine, outbox, cast(Any, None), "unused").assign()


async def told(shop: Shop, receiver: Receiver, path: str) -> list[tuple[dict[str, str], bytes]]:
    await number(shop)
    await fan_out_webhooks(shop.gateway.deps)
    await deliver_webhooks(shop.gateway.deps)
    return receiver.heard.get(path, [])


async def test_a_delivery_is_verified_by_the_official_client(shop: Shop) -> None:
    async with run_receiver() as receiver:
        endpoint = await shop.do(
            lambda c: c.v1.webhook_endpoints.create(
                {"url": f"{receiver.url}/hook", "enabled_events": ["payment_intent.succeeded"]}
            )
        )
        assert str(endpoint.secret).startswith("whsec_")
        intent = await shop.intent()
        ((headers, body),) = await told(shop, receiver, "/hook")
    event = stripe.Webhook.construct_event(body, headers["stripe-signature"], str(endpoint.secret))  # type: ignore[no-untyped-call]
    assert (event.type, event.data.object.id, event.data.object.status) == (
        "payment_intent.succeeded", intent.id, "succeeded",
    )  # fmt: skip
    for tampered in (body.replace(b"1250", b"1251"), body + b" "):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(tampered, headers["stripe-signature"], str(endpoint.secret))  # type: ignore[no-untyped-call]


async def test_an_endpoint_is_changed_listed_and_deleted(shop: Shop) -> None:
    async with run_receiver() as receiver:
        made = [
            await shop.do(
                lambda c, n=n: c.v1.webhook_endpoints.create(
                    {"url": f"{receiver.url}/{n}", "enabled_events": ["*"], "description": f"number {n}"}
                )
            )
            for n in range(3)
        ]
        listed = await shop.do(lambda c: list(c.v1.webhook_endpoints.list({"limit": 2}).auto_paging_iter()))
        assert [one.id for one in listed] == [one.id for one in made[::-1]]
        assert all("secret" not in one for one in listed)
        changed = await shop.do(
            lambda c: c.v1.webhook_endpoints.update(
                made[0].id, {"enabled_events": ["refund.created"], "disabled": True}
            )
        )
        assert (changed.enabled_events, changed.status) == (["refund.created"], "disabled")
        gone = await shop.do(lambda c: c.v1.webhook_endpoints.delete(made[0].id))
        assert gone.deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.webhook_endpoints.retrieve(made[0].id))


async def test_an_endpoint_inside_our_network_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(
            lambda c: c.v1.webhook_endpoints.create(
                {"url": "http://169.254.169.254/latest", "enabled_events": ["*"]}
            )
        )


async def test_events_are_listed_newest_first_filtered_and_read_one_by_one(shop: Shop) -> None:
    first, second = await shop.intent(), await shop.intent(amount=2)
    await shop.do(lambda c: c.v1.refunds.create({"payment_intent": first.id}))
    with pytest.raises(stripe.CardError):
        await shop.intent(payment_method="pm_card_chargeDeclined")
    await number(shop)
    everything = await shop.do(lambda c: list(c.v1.events.list({"limit": 2}).auto_paging_iter()))
    assert [event.type for event in everything] == [
        "payment_intent.payment_failed", "payment_intent.created", "refund.updated", "refund.created",
        "payment_intent.succeeded", "payment_intent.created", "payment_intent.succeeded", "payment_intent.created",
    ]  # fmt: skip
    paid = await shop.do(lambda c: c.v1.events.list({"type": "payment_intent.succeeded"}))
    assert [event.data.object.id for event in paid.data] == [second.id, first.id]
    one = await shop.do(lambda c: c.v1.events.retrieve(paid.data[0].id))
    assert one.data.object.id == second.id
    newer = await shop.do(lambda c: c.v1.events.list({"ending_before": everything[2].id, "limit": 1}))
    assert ([event.id for event in newer.data], newer.has_more) == ([everything[1].id], True)


async def test_events_of_another_merchant_are_absent(shop: Shop) -> None:
    await shop.intent()
    await number(shop)
    event = (await shop.do(lambda c: c.v1.events.list())).data[0]
    _, key = await shop.gateway.new_merchant()
    other = stripe.StripeClient(key, base_addresses={"api": f"{shop.gateway.url}/stripe"})
    assert (await asyncio.to_thread(lambda: other.v1.events.list())).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await asyncio.to_thread(lambda: other.v1.events.retrieve(event.id))
