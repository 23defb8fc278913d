"""A payment is refunded in parts, and never by more than was captured."""

import asyncio
from typing import Any


async def test_parts_add_up_and_no_more(merchant: Any) -> None:
    payment_id = (await merchant.pay(amount_minor=1000)).body["id"]
    for part in (300, 300):
        assert (
            await merchant.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": part})
        ).status == 201
    too_much = await merchant.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 401})
    assert (too_much.status, too_much.problem) == (422, "amount-exceeds-remaining")
    assert (await merchant.post(f"/v1/payments/{payment_id}/refunds", {})).body["amount_minor"] == 400

    refunds = (await merchant.get(f"/v1/payments/{payment_id}/refunds")).body["data"]
    assert [refund["amount_minor"] for refund in refunds] == [300, 300, 400]
    assert (await merchant.payment(payment_id))["refunded_minor"] == 1000


async def test_refunds_that_race_never_exceed_what_was_captured(merchant: Any) -> None:
    payment_id = (await merchant.pay(amount_minor=1000)).body["id"]
    replies = await asyncio.gather(
        *(merchant.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 300}) for _ in range(10))
    )
    assert sorted({reply.status for reply in replies} - {201, 409, 422}) == []
    assert sum(reply.status == 201 for reply in replies) <= 3
    assert (await merchant.payment(payment_id))["refunded_minor"] <= 900
