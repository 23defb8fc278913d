"""What channels report by themselves: too early, twice, out of order, late, and about money that goes back."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from gateway_rig import Reply, RunningGateway, told_by_channel
from sqlalchemy import text

from payment_gateway.clients.channel_alarms import channel_contradictions_total
from payment_gateway.domain.attempt import Attempt, NotProcessed, Succeeded
from payment_gateway.operations.receive_channel_event import replay_parked_events
from payment_gateway.operations.record_answer import record, record_and_answer
from payment_gateway.operations.resolve_attempts import resolve_attempts
from payment_gateway.store import attempts

BANK = {"type": "bank", "bank": {"scheme": "sepa"}}


async def report(gateway: RunningGateway, channel: str, event_id: str, **body: Any) -> Reply:
    told = {"type": "authorisation.succeeded", "code": None, "captured": True, **body}
    return await told_by_channel(gateway, channel, event_id, told)


def success_of(attempt_id: str, **changes: Any) -> dict[str, Any]:
    body = {
        "channel_key": attempt_id, "channel_reference": "ch_1", "outcome": "succeeded",
        "amount_minor": 1250, "currency": "EUR",
    }  # fmt: skip
    return body | changes


async def effects(gateway: RunningGateway) -> list[tuple[str, str]]:
    async with gateway.deps.engine.connect() as connection:
        found = await connection.execute(
            text("SELECT event_id, effect FROM payments.channel_event ORDER BY received_at, event_id")
        )
        return [(row.event_id, row.effect) for row in found]


async def told(gateway: RunningGateway) -> list[str]:
    async with gateway.deps.engine.connect() as connection:
        return list(await connection.scalars(text("SELECT type FROM payments.outbox_event ORDER BY seq")))


async def due_now(gateway: RunningGateway) -> None:
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL"))
        await connection.execute(text("UPDATE payments.parked_event SET due_at = now()"))


async def until_status(gateway: RunningGateway, payment_id: str, status: str) -> None:
    async with asyncio.timeout(30):
        while await gateway.status(payment_id) != status:  # noqa: ASYNC110 - a channel reports
            await asyncio.sleep(0.02)


async def test_a_report_about_what_we_do_not_know_is_parked_and_has_its_effect_later(
    gateway: RunningGateway,
) -> None:
    """statamic-cargo #190: a webhook before the object exists is acknowledged and lost."""
    reply = await gateway.pay("tok_dropped")
    payment_id, attempt_id = reply.body["id"], "att_" + reply.body["id"][4:]
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET id = 'att_elsewhere'"))
    early = success_of(attempt_id)
    assert (await report(gateway, "card_sim", "cev_1", **early)).status == 202
    assert (await report(gateway, "card_sim", "cev_1", **early)).status == 202
    assert await replay_parked_events(gateway.deps) == 0
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET id = :id"), {"id": attempt_id})
    await due_now(gateway)
    assert await replay_parked_events(gateway.deps) == 1
    assert await gateway.status(payment_id) == "captured"
    assert await effects(gateway) == [("cev_1", "applied")]
    await due_now(gateway)
    assert await replay_parked_events(gateway.deps) == 0
    assert (await gateway.rows())["transfer"] == 1


async def test_reports_at_once_book_once(gateway: RunningGateway) -> None:
    """lago-api PR #3618, mollie/WooCommerce PR #1063: pending becomes settled twice within milliseconds."""
    reply = await gateway.pay("tok_dropped")
    body = success_of("att_" + reply.body["id"][4:])
    replies = await asyncio.gather(*(report(gateway, "card_sim", f"cev_{n % 3}", **body) for n in range(15)))
    assert {reply.status for reply in replies} == {200}
    assert await gateway.status(reply.body["id"]) == "captured"
    assert (await gateway.rows())["transfer"] == 1
    assert len(await effects(gateway)) == 3
    assert sorted(effect for _, effect in await effects(gateway)) == ["applied", "stale", "stale"]


async def test_an_outdated_report_is_kept_as_stale_and_moves_nothing_backwards(
    gateway: RunningGateway,
) -> None:
    reply = await gateway.pay(
        method={"type": "wallet", "wallet": {"provider": "qr"}},
        metadata={"sandbox_fault": "shuffled-callbacks"},
    )
    await until_status(gateway, reply.body["id"], "captured")
    async with asyncio.timeout(30):
        while len(await effects(gateway)) < 2:  # noqa: ASYNC110 - the second report is on its way
            await asyncio.sleep(0.02)
    assert [effect for _, effect in await effects(gateway)] == ["applied", "stale"]
    assert await gateway.status(reply.body["id"]) == "captured"


async def test_a_report_over_another_amount_is_not_believed(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_3ds")
    payment_id = reply.body["id"]
    body = success_of("att_" + payment_id[4:], amount_minor=1251)
    assert (await report(gateway, "card_sim", "cev_1", **body)).status == 200
    assert await gateway.status(payment_id) != "captured"
    assert (await gateway.rows())["transfer"] == 0
    counted = channel_contradictions_total.labels("card_sim", "answer-differs-from-request")
    assert counted._value.get() >= 1, "somebody must look at it"


@pytest.mark.parametrize("captures", [True, False])
async def test_a_success_after_we_gave_up_is_given_back_and_told(
    gateway: RunningGateway, captures: bool
) -> None:
    """killbill #660: a late completion after the janitor had failed it makes two transactions."""
    channel = gateway.deps.channels["card_sim"]
    send = channel.send

    async def charge_and_deny(attempt: object, details: object) -> NotProcessed:
        await send(attempt, details)  # type: ignore[arg-type]
        return NotProcessed("not-sent")

    channel.send = charge_and_deny  # type: ignore[method-assign, assignment]
    gateway.deps.routing.rules = _without_failover(gateway)
    reply = await gateway.pay(capture="automatic" if captures else "manual")
    channel.send = send  # type: ignore[method-assign]
    attempt_id = "att_" + reply.body["id"][4:]
    assert reply.body["status"] == "failed"
    body = success_of(attempt_id, captured=captures)
    replies = await asyncio.gather(*(report(gateway, "card_sim", f"cev_{n}", **body) for n in range(3)))
    assert {late.status for late in replies} == {200}
    await due_now(gateway)
    await asyncio.gather(*(resolve_attempts(gateway.deps) for _ in range(3)))
    assert await gateway.status(reply.body["id"]) == "failed"
    assert [kind for kind in await told(gateway) if "late" in kind] == [
        "payment.late_success.v1",
        "payment.late_reversed.v1",
    ]
    journal = await gateway.simulators.journal()
    assert sum(line.get("charged_minor", 0) - line.get("refunded_minor", 0) for line in journal) == 0
    assert journal[-1]["type"] == ("refund" if captures else "void")
    assert (await gateway.rows())["transfer"] == (2 if captures else 0)
    assert (await gateway.verification())["balanced"]


async def test_an_answer_that_comes_after_we_gave_up_is_given_back_too(gateway: RunningGateway) -> None:
    """Its sender stalls, the resolver finds the payment failed, and then the channel's success arrives after all."""
    reply = await gateway.pay("tok_dropped")
    attempt = await attempt_of(gateway, reply.body["id"])
    await record(gateway.deps, gateway.merchant_id, attempt, NotProcessed("not-sent"))
    assert await gateway.status(reply.body["id"]) == "failed"
    late = Succeeded("ch_late", 1250, "EUR", is_captured=True)
    for _ in range(2):
        answer = await record_and_answer(gateway.deps, gateway.merchant_id, attempt, late)
        assert orjson.loads(answer.body)["status"] == "failed", "it was told so, and stays so"
    assert (await told(gateway)).count("payment.late_success.v1") == 1
    assert (await gateway.rows())["transfer"] == 1
    assert (await gateway.verification())["balanced"]


async def test_a_success_during_a_cancellation_waits_until_that_is_decided(gateway: RunningGateway) -> None:
    """Whoever looked before the void was recorded took the report for a latecomer, and nobody got the money back."""
    reply = await gateway.pay("tok_3ds")
    assert reply.body["status"] == "requires_action", reply.raw
    attempt = await attempt_of(gateway, reply.body["id"])
    channel = gateway.deps.channels["card_sim"]
    send, reached, answered = channel.send, asyncio.Event(), asyncio.Event()

    async def void_slowly(asked: Any, details: Any) -> Any:
        reached.set()
        await answered.wait()
        return Succeeded("vd_1", asked.amount_minor, asked.currency)

    channel.send = void_slowly  # type: ignore[method-assign]
    cancelling = asyncio.ensure_future(gateway.post(f"/v1/payments/{reply.body['id']}/cancel"))
    asked = asyncio.ensure_future(reached.wait())
    await asyncio.wait((cancelling, asked), return_when=asyncio.FIRST_COMPLETED)
    assert reached.is_set(), cancelling.result().raw
    body = success_of(attempt.id, captured=True)
    assert (await report(gateway, "card_sim", "cev_1", **body)).status == 202
    answered.set()
    assert (await cancelling).body["status"] == "cancelled"
    channel.send = send  # type: ignore[method-assign]
    await due_now(gateway)
    assert await replay_parked_events(gateway.deps) == 1
    assert await effects(gateway) == [("cev_1", "applied")]
    assert "payment.late_success.v1" in await told(gateway)
    assert await gateway.status(reply.body["id"]) == "cancelled"


async def attempt_of(gateway: RunningGateway, payment_id: str) -> Attempt:
    async with gateway.deps.engine.connect() as connection:
        found = await attempts.get(connection, "att_" + payment_id[4:])
    assert found is not None
    return found


def _without_failover(gateway: RunningGateway) -> Any:
    from dataclasses import replace

    return replace(gateway.deps.routing.rules, retry_budget=0)


async def test_a_transfer_arrives_later_and_is_booked_then(gateway: RunningGateway) -> None:
    reply = await gateway.pay(method=BANK)
    assert (reply.status, reply.body["status"], reply.body["channel"]) == (201, "requires_action", "bank_sim")
    assert reply.body["next_action"]["type"] == "bank_transfer"
    await until_status(gateway, reply.body["id"], "captured")


async def test_a_transfer_that_goes_back_is_booked_as_a_refund_once(gateway: RunningGateway) -> None:
    method = {"type": "bank", "bank": {"scheme": "sepa_returned"}}
    reply = await gateway.pay(method=method, metadata={"sandbox_fault": "duplicate-callbacks"})
    path = f"/v1/payments/{reply.body['id']}"
    async with asyncio.timeout(30):
        while (await gateway.payment(reply.body["id"]))["refunded_minor"] == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # for the duplicates
    (refund,) = (await gateway.call("GET", f"{path}/refunds")).body["data"]
    assert (refund["amount_minor"], refund["status"], refund["reason"]) == (
        1250,
        "succeeded",
        "returned_by_bank",
    )
    assert (await gateway.rows())["transfer"] == 2
    assert "parked" not in {effect for _, effect in await effects(gateway)}, "the duplicate waits for nothing"
    assert (await gateway.verification())["balanced"]


async def test_a_payment_may_come_back_in_parts(gateway: RunningGateway) -> None:
    reply = await gateway.pay(method={"type": "bank", "bank": {"scheme": "sepa_ignored"}})
    payment_id, attempt_id = reply.body["id"], "att_" + reply.body["id"][4:]
    assert (await report(gateway, "bank_sim", "cev_0", **success_of(attempt_id))).status == 200
    for number, amount in enumerate((300, 950), 1):
        back = success_of(
            f"{attempt_id}-return-{number}", outcome="returned", original=attempt_id, amount_minor=amount,
            channel_reference=f"rt_{number}", type="return.returned", code="returned_by_bank",
        )  # fmt: skip
        for copy in range(2):
            assert (await report(gateway, "bank_sim", f"cev_{number}_{copy}", **back)).status == 200
    assert (await gateway.payment(payment_id))["refunded_minor"] == 1250
    refunds = (await gateway.call("GET", f"/v1/payments/{payment_id}/refunds")).body["data"]
    assert sorted(refund["amount_minor"] for refund in refunds) == [300, 950]
    assert (await gateway.verification())["balanced"]


async def test_a_return_that_overtakes_its_success_waits_for_it(gateway: RunningGateway) -> None:
    reply = await gateway.pay(method={"type": "bank", "bank": {"scheme": "sepa_ignored"}})
    payment_id, attempt_id = reply.body["id"], "att_" + reply.body["id"][4:]
    back = success_of(
        f"{attempt_id}-return", outcome="returned", original=attempt_id, channel_reference="rt_1",
        type="return.returned", code="returned_by_bank",
    )  # fmt: skip
    assert (await report(gateway, "bank_sim", "cev_2", **back)).status == 202
    assert (await report(gateway, "bank_sim", "cev_1", **success_of(attempt_id))).status == 200
    await due_now(gateway)
    assert await replay_parked_events(gateway.deps) == 1
    found = await gateway.payment(payment_id)
    assert (found["status"], found["captured_minor"], found["refunded_minor"]) == ("captured", 1250, 1250)


async def test_a_channel_that_we_do_not_have_reports_in_vain(gateway: RunningGateway) -> None:
    assert (await report(gateway, "nobody", "cev_1", **success_of("att_1"))).status == 404
