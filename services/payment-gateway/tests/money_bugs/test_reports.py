"""Money bugs of what channels report by themselves."""

from __future__ import annotations

import asyncio

from gateway_rig import RunningGateway
from sqlalchemy import text
from witnesses import agree, answer_of, attempt_of, available_minor, report, resolve

from payment_gateway.operations.receive_channel_event import replay_parked_events
from payment_gateway.operations.resolve_attempts import resolve as resolve_one
from payment_gateway.store import attempts


async def challenged(gateway: RunningGateway) -> tuple[str, str]:
    """A payment that waits for its payer: its id and where the payer acts."""
    reply = await gateway.pay("tok_3ds")
    assert reply.body["status"] == "requires_action"
    return reply.body["id"], reply.body["next_action"]["url"]


async def test_a_settlement_told_twice_within_milliseconds_is_booked_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 9, lago-api PR#3618: pending to settled twice within milliseconds booked the payment twice.

    Two events with ids of their own about one settlement, on two replicas, at the moment in which it happens.
    """
    for n in range(3):
        payment_id, url = await challenged(gateway)
        passed = await answer_of(gateway, payment_id, outcome="succeeded", captured=True)
        replies = await asyncio.gather(
            gateway.session.post(url, json={"outcome": "passed"}),
            *(report(g, passed, f"cev_{n}_{i}") for i, g in enumerate((gateway, twin) * 2)),
        )
        assert {reply.status for reply in replies[1:]} == {200}
        assert await gateway.status(payment_id) == "captured"
    assert (await gateway.rows())["transfer"] == 3
    await agree(gateway, 3 * 1250)


async def test_money_is_not_usable_before_it_is_taken(gateway: RunningGateway) -> None:
    """Thread 10, lago-api#4326: credit could be used before its payment was confirmed.

    While the payer must act, while nobody knows, and while it is only held, nothing is available and nothing can be
    refunded.
    """
    waiting, _ = await challenged(gateway)
    unknown = (await gateway.pay("tok_reset")).body["id"]
    held = await gateway.hold()
    assert await available_minor(gateway) == 0
    for payment_id in (waiting, unknown, held):
        reply = await gateway.post(f"/v1/payments/{payment_id}/refunds")
        assert (reply.status, reply.problem) == (409, "invalid-state")
    await resolve(gateway)
    assert await available_minor(gateway) == 1250, "now it is known that the channel took it"


async def test_work_that_is_delivered_again_posts_nothing_again(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 24, midaz#1974: at-least-once redelivery posted a transaction twice.

    A report that comes again a while later, and a resolver's task that the broker delivers again, after the effect.
    """
    payment_id, url = await challenged(gateway)
    passed = await answer_of(gateway, payment_id, outcome="succeeded", captured=True)
    await gateway.session.post(url, json={"outcome": "passed"})
    for g in (gateway, twin, gateway):
        assert (await report(g, passed, "cev_once")).status == 200
    async with gateway.deps.engine.connect() as connection:
        attempt = await attempts.get(connection, attempt_of(payment_id))
    assert attempt is not None
    for g in (gateway, twin):
        await resolve_one(g.deps, attempt, 0)
    assert (await gateway.rows())["transfer"] == 1
    async with gateway.deps.engine.connect() as connection:
        told = await connection.scalar(
            text("SELECT count(*) FROM payments.outbox_event WHERE type = 'payment.captured.v1'")
        )
    assert told == 1
    await agree(gateway, 1250)


async def test_one_report_delivered_many_times_at_once_is_stored_and_booked_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 28, mollie/WooCommerce PR#1063, laravel-cashier-mollie PR#321: duplicate webhooks at the same moment both
    passed the check that came before the insert.

    Twenty deliveries of one event on two replicas: all are acknowledged, one row, one booking.
    """
    payment_id, url = await challenged(gateway)
    passed = await answer_of(gateway, payment_id, outcome="succeeded", captured=True)
    replies = await asyncio.gather(*(report(g, passed, "cev_same") for g in (gateway, twin) * 10))
    await gateway.session.post(url, json={"outcome": "passed"})
    assert {reply.status for reply in replies} == {200}
    async with gateway.deps.engine.connect() as connection:
        stored = await connection.scalar(
            text("SELECT count(*) FROM payments.channel_event WHERE event_id = 'cev_same'")
        )
    assert stored == 1
    assert (await gateway.rows())["transfer"] == 1
    await agree(gateway, 1250)


async def test_a_report_that_comes_before_its_object_is_kept_and_has_its_effect(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 27, statamic-cargo#190: a webhook that came before its object was acknowledged and lost.

    The channel is quicker than our own transaction: several copies come to both replicas, each is answered 202 once it
    is kept, and when the object is there one of them books it.
    """
    payment_id, url = await challenged(gateway)
    passed = await answer_of(gateway, payment_id, outcome="succeeded", captured=True)
    rename = text("UPDATE payments.attempt SET id = :new WHERE id = :old")
    async with gateway.deps.engine.begin() as connection:  # as if its commit were still on the way
        await connection.execute(rename, {"old": attempt_of(payment_id), "new": "att_on_its_way"})
    replies = await asyncio.gather(*(report(g, passed, "cev_early") for g in (gateway, twin) * 3))
    assert {reply.status for reply in replies} == {202}
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(rename, {"new": attempt_of(payment_id), "old": "att_on_its_way"})
        await connection.execute(text("UPDATE payments.parked_event SET due_at = now()"))
    await asyncio.gather(*(replay_parked_events(g.deps) for g in (gateway, twin)))
    assert await gateway.status(payment_id) == "captured"
    await gateway.session.post(url, json={"outcome": "passed"})
    assert (await gateway.rows())["transfer"] == 1
    await agree(gateway, 1250)


async def test_a_report_that_the_channel_did_not_sign_moves_nothing(gateway: RunningGateway) -> None:
    """Beyond the threads: whoever can reach the door cannot book a payment."""
    payment_id, _ = await challenged(gateway)
    passed = await answer_of(gateway, payment_id, outcome="succeeded", captured=True)
    reply = await gateway.call(
        "POST", "/internal/channel-events/card_sim", json={"type": "authorisation.succeeded", **passed}
    )
    assert (reply.status, reply.problem) == (400, "invalid-signature")
    assert await gateway.status(payment_id) == "requires_action"
    await agree(gateway, 0)


async def test_an_answer_about_another_amount_or_currency_is_not_believed(gateway: RunningGateway) -> None:
    """Beyond the threads: a channel that says it took something else than was asked has not answered."""
    payment_id, _ = await challenged(gateway)
    for n, lie in enumerate(({"amount_minor": 1}, {"amount_minor": 12_500}, {"currency": "JPY"})):
        told = await answer_of(gateway, payment_id, outcome="succeeded", captured=True, **lie)
        assert (await report(gateway, told, f"cev_{n}")).status == 200
        assert await gateway.status(payment_id) == "requires_action"
    await agree(gateway, 0)
