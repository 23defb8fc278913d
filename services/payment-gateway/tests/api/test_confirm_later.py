"""Payments that are created first and confirmed later, changed in between, tried again, or given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway, a_sale
from simulator_rig import eventually
from sqlalchemy import text

from payment_gateway.operations.expire_holds import expire_holds
from payment_gateway.operations.resolve_attempts import resolve_attempts

CARD = {"type": "card", "card": {"token": "tok_visa"}}


async def draft(gateway: RunningGateway, token: str | None = "tok_visa", **changes: Any) -> str:
    body = a_sale(token or "tok_visa", confirm=False) | changes
    if token is None:
        del body["method"]
    reply = await gateway.post("/v1/payments", body)
    assert reply.status == 201, reply.raw
    expected = "requires_confirmation" if token else "requires_payment_method"
    assert reply.body["status"] == expected
    return str(reply.body["id"])


async def charges(gateway: RunningGateway) -> list[dict[str, Any]]:
    """What the acquirer's own journal says it charged."""
    lines: list[dict[str, Any]] = await gateway.simulators.journal()
    return [line for line in lines if line.get("charged_minor")]


async def test_a_payment_that_waits_for_its_confirmation_has_asked_nobody(gateway: RunningGateway) -> None:
    await draft(gateway)
    assert gateway.risk.asked == []
    assert await gateway.simulators.journal() == []


async def test_confirming_charges_once_however_often_it_is_repeated(gateway: RunningGateway) -> None:
    payment_id = await draft(gateway)
    path = f"/v1/payments/{payment_id}/confirm"
    replies = await asyncio.gather(*(gateway.post(path, {}, key="confirm-1") for _ in range(8)))
    final = await gateway.post(path, {}, key="confirm-1")
    assert (final.status, final.body["status"]) == (200, "captured")
    assert {reply.status for reply in replies} <= {200, 409}
    assert {reply.raw for reply in replies if reply.status == 200} == {final.raw}
    assert len(await charges(gateway)) == 1


async def test_two_confirmations_with_keys_of_their_own_charge_once(gateway: RunningGateway) -> None:
    payment_id = await draft(gateway)
    replies = await asyncio.gather(
        *(gateway.post(f"/v1/payments/{payment_id}/confirm", {}) for _ in range(6))
    )
    assert sorted(reply.status for reply in replies).count(200) == 1
    assert {reply.problem for reply in replies if reply.status != 200} <= {
        "operation-in-progress", "invalid-state",
    }  # fmt: skip
    assert len(await charges(gateway)) == 1
    assert await gateway.status(payment_id) == "captured"


async def test_what_is_charged_may_change_until_the_confirmation(gateway: RunningGateway) -> None:
    payment_id = await draft(gateway, token=None)
    no_method = await gateway.post(f"/v1/payments/{payment_id}/confirm", {})
    assert (no_method.status, no_method.problem) == (422, "missing-field")
    changed = await gateway.post(f"/v1/payments/{payment_id}", {"amount_minor": 777, "method": CARD})
    assert (changed.status, changed.body["status"]) == (200, "requires_confirmation")
    confirmed = await gateway.post(f"/v1/payments/{payment_id}/confirm", {})
    assert confirmed.body["captured_minor"] == 777
    late = await gateway.post(f"/v1/payments/{payment_id}", {"amount_minor": 1})
    assert (late.status, late.problem) == (409, "invalid-state")
    words = await gateway.post(f"/v1/payments/{payment_id}", {"metadata": {"order": "7"}})
    assert (words.status, words.body["metadata"], words.body["captured_minor"]) == (200, {"order": "7"}, 777)


async def test_a_declined_payment_may_be_confirmed_with_another_card(gateway: RunningGateway) -> None:
    payment_id = await draft(gateway, "tok_declined")
    declined = await gateway.post(f"/v1/payments/{payment_id}/confirm", {})
    assert (declined.status, declined.body["status"]) == (200, "declined")
    again = await gateway.post(f"/v1/payments/{payment_id}/confirm", {"method": CARD})
    assert (again.body["status"], again.body["decline_code"]) == ("captured", None)
    refunded = await gateway.post(f"/v1/payments/{payment_id}/refunds", {})
    assert (refunded.status, refunded.body["status"]) == (201, "succeeded"), (
        "it belongs to the second attempt"
    )


async def test_a_change_while_a_confirmation_is_assessed_is_not_charged_unseen(
    gateway: RunningGateway,
) -> None:
    payment_id = await draft(gateway)
    gateway.risk.delay_s = 0.3
    confirming = asyncio.create_task(gateway.post(f"/v1/payments/{payment_id}/confirm", {}))
    await eventually(lambda: gateway.risk.asked)
    changed = await gateway.post(f"/v1/payments/{payment_id}", {"amount_minor": 99_999})
    assert changed.status == 200
    refused = await confirming
    assert (refused.status, refused.problem) == (409, "operation-in-progress")
    assert await charges(gateway) == []


@pytest.mark.parametrize("token", ["tok_visa", None])
async def test_cancelling_what_was_never_confirmed_asks_nobody(
    gateway: RunningGateway, token: str | None
) -> None:
    payment_id = await draft(gateway, token)
    cancelled = await gateway.post(f"/v1/payments/{payment_id}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    confirmed = await gateway.post(f"/v1/payments/{payment_id}/confirm", {"method": CARD})
    assert (confirmed.status, confirmed.problem, confirmed.body["allowed"]) == (409, "invalid-state", [])
    assert await gateway.simulators.journal() == []


async def test_cancelling_a_hold_gives_it_up_at_the_channel(gateway: RunningGateway) -> None:
    cancelled = await gateway.post(f"/v1/payments/{await gateway.hold()}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "voided")


async def test_cancelling_a_sale_is_refused_with_what_is_allowed(gateway: RunningGateway) -> None:
    refused = await gateway.post(f"/v1/payments/{await gateway.captured()}/cancel")
    assert (refused.status, refused.problem, refused.body["allowed"]) == (409, "invalid-state", ["refund"])


async def challenged(gateway: RunningGateway) -> Reply:
    reply = await gateway.pay("tok_3ds")
    assert reply.body["status"] == "requires_action"
    return reply


async def pass_challenge(gateway: RunningGateway, payment: dict[str, Any]) -> int:
    url = payment["next_action"]["url"]
    async with gateway.session.post(url, json={"outcome": "passed"}) as response:
        return response.status


async def test_cancelling_while_the_payer_acts_closes_the_challenge(gateway: RunningGateway) -> None:
    payment = (await challenged(gateway)).body
    cancelled = await gateway.post(f"/v1/payments/{payment['id']}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    assert await pass_challenge(gateway, payment) == 409, "too late for the payer"
    assert await resolve_attempts(gateway.deps) == 0, "nobody asks about it any more"
    assert await charges(gateway) == []


async def test_a_payer_who_passes_before_the_cancellation_arrives_has_paid(gateway: RunningGateway) -> None:
    payment = (await challenged(gateway)).body
    await pass_challenge(gateway, payment)
    reply = await gateway.post(f"/v1/payments/{payment['id']}/cancel")
    assert reply.status in (409, 422), reply.raw
    await resolve_attempts(
        gateway.deps
    )  # a report that came while the cancellation was asked is found out about
    assert await gateway.status(payment["id"]) == "captured"
    assert len(await charges(gateway)) == 1


async def test_an_action_that_nobody_takes_runs_out(gateway: RunningGateway) -> None:
    payment = (await challenged(gateway)).body
    assert await expire_holds(gateway.deps) == 0
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.payment SET created_at = now() - interval '2 hours'"))
    assert await expire_holds(gateway.deps) == 1
    assert await gateway.status(payment["id"]) == "expired"


async def test_a_confirmation_without_an_answer_is_found_out_about(gateway: RunningGateway) -> None:
    payment_id = await draft(gateway, "tok_reset")
    reply = await gateway.post(f"/v1/payments/{payment_id}/confirm", {}, key="c")
    assert (reply.status, reply.body["status"]) == (202, "unknown")
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL"))
    await resolve_attempts(gateway.deps)
    again = await gateway.post(f"/v1/payments/{payment_id}/confirm", {}, key="c")
    assert (again.status, again.body["status"]) == (200, "captured")
    assert len(await charges(gateway)) == 1


@pytest.mark.parametrize("descriptor", ["abc", "x" * 23, "12345", "SHOP*1", "SHOP\n1", "ŠHOP 1"])
async def test_a_descriptor_that_no_statement_can_show_is_refused(
    gateway: RunningGateway, descriptor: str
) -> None:
    reply = await gateway.pay(statement_descriptor=descriptor)
    assert reply.status == 422
    assert descriptor not in reply.raw.decode()
