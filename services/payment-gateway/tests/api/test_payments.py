"""Payments over HTTP, from request to ledger."""

from __future__ import annotations

import asyncio

import pytest
from gateway_rig import RunningGateway


async def test_a_sale_is_captured_once_at_the_channel_and_in_the_ledger(gateway: RunningGateway) -> None:
    reply = await gateway.pay()
    assert reply.status == 201
    payment = reply.body
    assert (payment["status"], payment["captured_minor"], payment["channel"]) == (
        "captured",
        1250,
        "card_sim",
    )
    assert payment["risk"]["decision"] == "allow"
    assert await gateway.payment(payment["id"]) == payment
    assert await gateway.simulators.charged_minor("att_" + payment["id"][4:]) == 1250
    found = await gateway.verification()
    assert found["balanced"]
    assert found["currencies"][0]["debits_minor"] == 1250


async def test_a_hold_is_captured_in_parts_and_the_rest_is_given_up(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    first = await gateway.post(f"/v1/payments/{payment_id}/capture", {"amount_minor": 4_000})
    assert (first.status, first.body["status"]) == (200, "partially_captured")
    rest = await gateway.post(f"/v1/payments/{payment_id}/void")
    assert (rest.status, rest.body["status"], rest.body["captured_minor"]) == (200, "captured", 4_000)
    found = await gateway.verification()
    assert found["balanced"]
    assert found["currencies"][0]["debits_pending_minor"] == 0


async def test_a_void_releases_the_hold_and_is_done_once(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold()
    assert (await gateway.post(f"/v1/payments/{payment_id}/void")).body["status"] == "voided"
    again = await gateway.post(f"/v1/payments/{payment_id}/void")
    assert (again.status, again.problem, again.body["allowed"]) == (409, "invalid-state", [])


async def test_several_refunds_never_exceed_the_capture(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    first = await gateway.post(path, {"amount_minor": 6_000, "reason": "broken"})
    assert (first.status, first.body["status"]) == (201, "succeeded")
    too_much = await gateway.post(path, {"amount_minor": 4_001})
    assert (too_much.status, too_much.problem, too_much.body["remaining_minor"]) == (
        422, "amount-exceeds-remaining", 4_000,
    )  # fmt: skip
    assert (await gateway.post(path)).body["amount_minor"] == 4_000
    assert len((await gateway.call("GET", path)).body["data"]) == 2
    assert (await gateway.payment(payment_id))["refunded_minor"] == 10_000
    assert (await gateway.verification())["balanced"]


async def test_fifty_refunds_at_once_take_out_no_more_than_was_captured(gateway: RunningGateway) -> None:
    """hyperswitch#13182: two concurrent refunds of $60 on a $100 payment both succeeded."""
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    replies = await asyncio.gather(*(gateway.post(path, {"amount_minor": 600}) for _ in range(50)))
    assert sorted({reply.status for reply in replies}) == [201, 422]
    assert sum(reply.status == 201 for reply in replies) == 16
    assert (await gateway.payment(payment_id))["refunded_minor"] == 9_600
    assert (await gateway.verification())["balanced"]


async def test_captures_at_once_never_exceed_the_hold(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    path = f"/v1/payments/{payment_id}/capture"
    replies = await asyncio.gather(*(gateway.post(path, {"amount_minor": 6_000}) for _ in range(10)))
    assert sum(reply.status == 200 for reply in replies) == 1
    assert {reply.status for reply in replies} <= {200, 409, 422}
    assert (await gateway.payment(payment_id))["captured_minor"] == 6_000


async def test_capture_and_void_at_once_have_one_winner(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    replies = await asyncio.gather(
        gateway.post(f"/v1/payments/{payment_id}/capture"), gateway.post(f"/v1/payments/{payment_id}/void")
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")],
)
async def test_a_decline_is_a_result(gateway: RunningGateway, token: str, code: str) -> None:
    reply = await gateway.pay(token)
    assert (reply.status, reply.body["status"], reply.body["decline_code"]) == (201, "declined", code)
    assert (await gateway.rows())["transfer"] == 0


async def test_what_risk_blocks_no_channel_sees(gateway: RunningGateway) -> None:
    gateway.risk.decision = "block"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"], reply.body["decline_code"]) == (
        201,
        "declined",
        "risk_blocked",
    )
    assert await gateway.simulators.journal() == []


async def test_what_risk_wants_reviewed_is_held_and_not_taken(gateway: RunningGateway) -> None:
    gateway.risk.decision = "review"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"]) == (201, "authorised")


async def test_what_risk_challenges_waits_for_the_payer_and_then_for_nobody(gateway: RunningGateway) -> None:
    gateway.risk.decision = "challenge"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert reply.body["next_action"]["type"] == "three_ds"
    await gateway.session.post(reply.body["next_action"]["url"], json={"outcome": "passed"})
    await eventually_status(gateway, reply.body["id"], "captured")
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("amount_minor", "status"), [(1_000, "captured"), (20_000, "requires_action"), (60_000, "authorised")]
)
@pytest.mark.parametrize("fault", ["late", "broken"])
async def test_without_risk_the_fallback_policy_decides_by_amount(
    gateway: RunningGateway, fault: str, amount_minor: int, status: str
) -> None:
    if fault == "late":
        gateway.risk.delay_s = 1.5
    else:
        gateway.risk.status = 500
    reply = await gateway.pay(amount_minor=amount_minor)
    assert (reply.body["status"], reply.body["risk"]["fallback"]) == (status, True)


async def test_a_wallet_is_paid_when_the_payer_confirms(gateway: RunningGateway) -> None:
    reply = await gateway.post(
        "/v1/payments",
        {"amount_minor": 700, "currency": "EUR", "method": {"type": "wallet", "wallet": {"provider": "qr"}}},
    )
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert (reply.body["channel"], reply.body["next_action"]["type"]) == ("wallet_sim", "qr")
    await eventually_status(gateway, reply.body["id"], "captured")


async def test_pages_of_payments_are_whole_and_in_order(gateway: RunningGateway) -> None:
    made = [(await gateway.pay(reference=f"order-{n % 2}")).body["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await gateway.call("GET", f"/v1/payments?limit=3{cursor}")).body
        seen += [payment["id"] for payment in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]
    found = (await gateway.call("GET", "/v1/payments?reference=order-1")).body["data"]
    assert [payment["id"] for payment in found] == made[1::2][::-1]


async def test_another_merchants_payment_is_as_absent_as_none(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured()
    _, stranger = await gateway.new_merchant()
    absent = "pay_" + "0" * 26
    for suffix in ("", "/refunds"):
        foreign = await gateway.call("GET", f"/v1/payments/{payment_id}{suffix}", token=stranger)
        missing = await gateway.call("GET", f"/v1/payments/{absent}{suffix}", token=stranger)
        assert foreign.status == missing.status == 404
        assert foreign.body["detail"] == missing.body["detail"]
    refund = await gateway.post(f"/v1/payments/{payment_id}/refunds", token=stranger)
    assert refund.status == 404


async def eventually_status(gateway: RunningGateway, payment_id: str, status: str) -> None:
    async with asyncio.timeout(5):
        while await gateway.status(payment_id) != status:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
