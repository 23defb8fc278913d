"""Money bugs of captures, voids and the several ways in which their outcome is told."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway_rig import RunningGateway
from sqlalchemy import text
from witnesses import agree, answer_of, charged_and_refunded, lines_of, report, resolve, time_passes

from payment_gateway.operations.expire_holds import expire_holds
from payment_gateway.operations.resolve_attempts import resolve_attempts


async def test_capture_and_cancel_at_once_have_one_winner_and_redirect_sync_and_webhook_tell_one_story(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 4, hyperswitch PR#1898: a capture raced a cancel, a redirect raced the sync and the webhook.

    Capture against void on two replicas: one 200, one 409, and the channel did just that one. Then a payer returns
    while the resolvers ask and the reports arrive: booked once.
    """
    for _ in range(4):
        before, _ = await charged_and_refunded(gateway)
        payment_id = await gateway.hold()
        captured, voided = await asyncio.gather(
            gateway.post(f"/v1/payments/{payment_id}/capture"), twin.post(f"/v1/payments/{payment_id}/void")
        )
        assert sorted((captured.status, voided.status)) == [200, 409]
        end = await gateway.payment(payment_id)
        assert end["status"] == ("captured" if captured.status == 200 else "voided")
        after, _ = await charged_and_refunded(gateway)
        assert after - before == end["captured_minor"]

    transfers = (await gateway.rows())["transfer"]
    before, _ = await charged_and_refunded(gateway)
    challenged = (await gateway.pay("tok_3ds")).body
    passed = await answer_of(gateway, challenged["id"], outcome="succeeded", captured=True)
    await gateway.session.post(challenged["next_action"]["url"], json={"outcome": "passed"})
    await time_passes(gateway)
    replies = await asyncio.gather(
        *(report(g, passed, f"cev_{n}") for n, g in enumerate((gateway, twin) * 3)),
        resolve_attempts(gateway.deps),
        resolve_attempts(twin.deps),
        gateway.call("GET", f"/v1/payments/{challenged['id']}"),
    )
    assert {reply.status for reply in replies[:6]} == {200}
    assert await gateway.status(challenged["id"]) == "captured"
    assert (await gateway.rows())["transfer"] == transfers + 1
    await agree(gateway, before + 1250)


async def test_captures_at_once_never_take_more_than_is_held(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 5, medusa#16012: concurrent captures exceeded the authorisation.

    Ten captures of six tenths each, over two replicas: one is taken, each other one gets a clear 409 or 422.
    """
    for _ in range(5):
        payment_id = await gateway.hold(10_000)
        path = f"/v1/payments/{payment_id}/capture"
        replies = await asyncio.gather(*(g.post(path, {"amount_minor": 6_000}) for g in (gateway, twin) * 5))
        assert sum(reply.status == 200 for reply in replies) == 1
        assert {r.problem for r in replies if r.status != 200} <= {
            "operation-in-progress",
            "amount-exceeds-remaining",
        }
        over = await twin.post(path, {"amount_minor": 4_001})
        assert (over.status, over.problem, over.body["remaining_minor"]) == (
            422, "amount-exceeds-remaining", 4_000,
        )  # fmt: skip
        assert (await gateway.payment(payment_id))["captured_minor"] == 6_000
    assert len(await lines_of(gateway, "capture")) == 5
    await agree(gateway, 5 * 6_000)


async def test_a_checkout_and_a_report_that_both_capture_take_once_and_refund_nothing(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 6, medusa#13301: webhook and checkout both captured, and the paid order was refunded by the loser.

    Both capture the whole hold under keys of their own while the channel repeats its report of the authorisation: one
    200, one 409, one capture at the channel, and no refund by anybody.
    """
    for n in range(5):
        payment_id = await gateway.hold()
        told = await answer_of(gateway, payment_id)
        path = f"/v1/payments/{payment_id}/capture"
        first, second, repeated = await asyncio.gather(
            gateway.post(path, key=f"checkout-{n}"),
            twin.post(path, key=f"webhook-{n}"),
            report(twin, told, f"cev_late_{n}"),
        )
        assert sorted((first.status, second.status)) == [200, 409]
        assert repeated.status == 200
        assert (await gateway.call("GET", f"/v1/payments/{payment_id}/refunds")).body["data"] == []
    assert len(await lines_of(gateway, "capture")) == 5
    await agree(gateway, 50_000)


async def test_partial_captures_at_once_stop_at_the_hold(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 18, blnk PR#171: concurrent partial commits of a hold exceeded it.

    Twelve clients capture a tenth each and repeat while another is being asked about: ten get it, two are refused.
    """
    payment_id = await gateway.hold(10_000)

    async def until_decided(g: RunningGateway, key: str) -> int:
        while True:
            path = f"/v1/payments/{payment_id}/capture"
            reply = await g.post(path, {"amount_minor": 1_000}, key=key)
            if reply.status != 409 or reply.problem == "invalid-state":
                return reply.status
            await asyncio.sleep(0.01)

    clients = [until_decided(g, f"part-{n}") for n, g in enumerate((gateway, twin) * 6)]
    statuses = sorted(await asyncio.gather(*clients))
    assert statuses[:10] == [200] * 10
    assert set(statuses[10:]) <= {409, 422}
    assert await gateway.status(payment_id) == "captured"
    await agree(gateway, 10_000)


async def test_a_hold_is_voided_once(gateway: RunningGateway, twin: RunningGateway) -> None:
    """Thread 17, blnk#41: voiding a hold twice succeeded twice, and released the money twice.

    At once on two replicas and once more afterwards: one 200, the others 409, one release in the ledger.
    """
    payment_id, other = await gateway.hold(10_000), await gateway.hold(10_000)
    path = f"/v1/payments/{payment_id}/void"
    replies = await asyncio.gather(*(g.post(path) for g in (gateway, twin) * 3))
    replies.append(await twin.post(path))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 6
    assert len(await lines_of(gateway, "void")) == 1
    (eur,) = (await gateway.verification())["currencies"]
    assert eur["debits_pending_minor"] == 10_000, "the other hold is as it was"
    assert await gateway.status(other) == "authorised"
    await agree(gateway, 0)


async def test_an_action_that_several_give_up_at_once_is_given_up_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Beyond the threads, found by the state machine: the second of two expiry jobs voided the first one's void, which
    no channel understands, and the payment waited for its payer for ever.
    """
    for n in range(4):
        payment_id = (await gateway.pay("tok_3ds")).body["id"]
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text("UPDATE payments.payment SET created_at = created_at - interval '30 days'")
            )
        expiry = expire_holds(twin.deps)
        path = f"/v1/payments/{payment_id}/cancel"
        others: list[Any] = [gateway.post(path), twin.post(path)] if n % 2 else [expire_holds(gateway.deps)]
        await asyncio.gather(expiry, *others)
        assert await gateway.status(payment_id) in ("expired", "cancelled")
    assert len(await lines_of(gateway, "void")) == 4
    await agree(gateway, 0)


async def test_a_payment_that_was_refused_is_not_captured_through_its_id(gateway: RunningGateway) -> None:
    """Thread 16, blnk#182 (open): a hold that was rejected could be committed through the id of its queued request.

    Declined by the channel, blocked by risk, or found to have failed: 409, and no channel is asked.
    """
    declined = (await gateway.pay("tok_declined", capture="manual")).body["id"]
    gateway.risk.decision = "block"
    blocked = (await gateway.pay(capture="manual")).body["id"]
    gateway.risk.decision = "allow"
    failed = (await gateway.pay("tok_error", capture="manual")).body["id"]
    await resolve(gateway)
    before, lines = await gateway.rows(), await gateway.simulators.journal()
    for payment_id in (declined, blocked, failed):
        for act in ("capture", "void", "refunds"):
            reply = await gateway.post(f"/v1/payments/{payment_id}/{act}")
            assert (reply.status, reply.problem) == (409, "invalid-state")
            assert act.rstrip("s") not in reply.body["allowed"]
    after = await gateway.rows()
    assert {name: after[name] for name in after if name != "idempotency_key"} == {
        name: before[name] for name in before if name != "idempotency_key"
    }
    assert await gateway.simulators.journal() == lines
