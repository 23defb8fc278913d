"""Money bugs of refunds."""

from __future__ import annotations

import asyncio

import pytest
from gateway_rig import RunningGateway
from witnesses import agree, lines_of


async def test_two_refunds_at_once_never_give_back_more_than_was_captured(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 1, hyperswitch#13182: two concurrent refunds of $60 on a $100 charge both succeeded.

    One is paid, the other is refused with what remains; on either replica, whatever they overlap in.
    """
    payments = [await gateway.captured(10_000) for _ in range(5)]
    for payment_id in payments:
        path = f"/v1/payments/{payment_id}/refunds"
        replies = await asyncio.gather(*(g.post(path, {"amount_minor": 6_000}) for g in (gateway, twin)))
        won, lost = sorted(replies, key=lambda reply: reply.status)
        assert (won.status, won.body["status"]) == (201, "succeeded")
        assert (lost.status, lost.problem, lost.body["remaining_minor"]) == (
            422, "amount-exceeds-remaining", 4_000,
        )  # fmt: skip
        assert (await gateway.payment(payment_id))["refunded_minor"] == 6_000
    await agree(gateway, 50_000, 30_000)


async def test_a_refund_of_nothing_or_less_is_refused(
    gateway: RunningGateway, subtests: pytest.Subtests
) -> None:
    """Thread 2, hyperswitch PR#11491: a negative refund passed, and took money from the payer.

    422, nothing written, nothing asked of the channel.
    """
    payment_id = await gateway.captured()
    before = await gateway.rows()
    for amount in (0, -1, -10_000, 0.5, 1e3, "100", True, [1], 10**13, -(2**63)):
        with subtests.test(amount=amount):
            reply = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": amount})
            assert reply.status == 422, reply.raw
            assert await gateway.rows() == before
    await agree(gateway, 10_000)


async def test_a_409_for_a_repeated_refund_means_that_it_moved_nothing(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 14, blnk#374: a duplicate refund was answered 409, yet money moved.

    Of many repetitions of one key at once each 409 moved nothing, and all 201 are the same refund.
    """
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    replies = await asyncio.gather(
        *(g.post(path, {"amount_minor": 1_000}, key="one-refund") for g in (gateway, twin) * 10)
    )
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.raw for reply in replies if reply.status == 201}) == 1
    assert (await gateway.payment(payment_id))["refunded_minor"] == 1_000
    assert len(await lines_of(gateway, "refund")) == 1
    await agree(gateway, 10_000, 1_000)
