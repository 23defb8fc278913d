"""Disputes over real HTTP: opened by the channel, answered by the merchant, one remaining amount with the refunds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway_rig import Reply, RunningGateway, run_gateway, told_by_channel
from money_rig import disputed, operate, ready, settled, until
from sqlalchemy import text

from payment_gateway.clients.channel_alarms import reports_refused_total
from payment_gateway.operations.follow_disputes import expire_disputes, send_dispute_answers
from payment_gateway.operations.receive_channel_event import replay_parked_events
from platform_cli.embedded.testing import FreshDatabase


async def test_a_scripted_card_is_disputed_after_its_capture_and_the_sum_is_set_aside(
    gateway: RunningGateway,
) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    assert (dispute["status"], dispute["reason"], dispute["reserved_minor"]) == (
        "needs_response",
        "fraudulent",
        10_000,
    )
    assert (await gateway.payment(reply.body["id"]))["disputed_minor"] == 10_000
    assert (await gateway.verification())["balanced"]


async def test_an_inquiry_moves_no_money_until_it_becomes_a_dispute(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dispute_inquiry", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    assert (dispute["status"], dispute["reserved_minor"]) == ("warning", 0)
    name = await name_of(gateway, dispute)
    await operate(gateway, dispute=name, outcome="needs_response")
    escalated = await until(gateway, dispute["id"], "needs_response")
    assert escalated["reserved_minor"] == 10_000


async def test_a_refund_during_a_dispute_cannot_pay_twice(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    payment_id = reply.body["id"]
    await disputed(gateway, payment_id)
    before = await gateway.rows()
    refused = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 1})
    assert (refused.status, refused.problem) == (422, "amount-exceeds-remaining")
    after = await gateway.rows()
    assert after["transfer"] == before["transfer"]


async def test_a_refund_after_a_lost_dispute_cannot_pay_twice(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    accepted = await gateway.post(f"/v1/disputes/{dispute['id']}/accept")
    assert (accepted.status, accepted.body["status"], accepted.body["closed_by"]) == (200, "lost", "accept")
    refused = await gateway.post(f"/v1/payments/{reply.body['id']}/refunds")
    assert (refused.status, refused.problem) == (422, "amount-exceeds-remaining")
    assert await send_dispute_answers(gateway.deps) == 1
    assert (await gateway.verification())["balanced"]


async def test_refunds_and_a_dispute_at_once_never_take_more_than_was_captured(
    gateway: RunningGateway,
) -> None:
    payment_id = await gateway.captured(10_000)
    refunds = [gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 3_000}) for _ in range(4)]
    opening = operate(gateway, channel_key=await ready(gateway, payment_id), amount_minor=5_000)
    replies, _ = await asyncio.gather(asyncio.gather(*refunds), opening)
    dispute = await disputed(gateway, payment_id)
    payment = await gateway.payment(payment_id)
    assert payment["refunded_minor"] + payment["disputed_minor"] <= 10_000
    assert payment["disputed_minor"] == dispute["reserved_minor"]
    assert {reply.status for reply in replies} <= {201, 422}
    assert (await gateway.verification())["balanced"]


async def test_winning_evidence_gives_the_sum_back(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    path = f"/v1/disputes/{dispute['id']}/evidence"
    saved = await gateway.post(path, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert (saved.status, saved.body["status"]) == (200, "needs_response")
    sent = await gateway.post(path, {"evidence": {}, "submit": True})
    assert (sent.status, sent.body["status"]) == (200, "under_review")
    again = await gateway.post(path, {"evidence": {}, "submit": True})
    assert (again.status, again.problem) == (409, "invalid-state")
    assert await send_dispute_answers(gateway.deps) == 1
    won = await until(gateway, dispute["id"], "won")
    assert won["evidence"] == {"uncategorized_text": "winning_evidence"}
    assert (await gateway.payment(reply.body["id"]))["disputed_minor"] == 0
    refund = await gateway.post(f"/v1/payments/{reply.body['id']}/refunds")
    assert refund.status == 201
    assert (await gateway.verification())["balanced"]


async def test_evidence_that_never_comes_loses_the_dispute(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    assert await expire_disputes(gateway.deps) == 0
    await settled(
        gateway, "UPDATE payments.dispute SET evidence_due_at = now() - interval '1 second'", admin=True
    )
    late = await gateway.post(f"/v1/disputes/{dispute['id']}/evidence", {"evidence": {}, "submit": True})
    assert (late.status, late.problem, late.body["allowed"]) == (409, "invalid-state", ["accept"])
    assert await expire_disputes(gateway.deps) == 1
    lost = await until(gateway, dispute["id"], "lost")
    assert lost["closed_by"] == "run_out"


async def test_a_decision_that_overtakes_the_dispute_waits_for_it(gateway: RunningGateway) -> None:
    """An inquiry is decided by nobody; shuffled reports had lost the merchant a dispute that it won."""
    reply = await gateway.pay("tok_dispute_inquiry", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    named = {"dispute": await name_of(gateway, dispute), "original": "att_" + reply.body["id"][4:]}
    early = await report_dispute(gateway, "cev_won", outcome="won", **named)
    assert early.status == 202
    assert (await report_dispute(gateway, "cev_opened", outcome="needs_response", **named)).status == 200
    await settled(gateway, "UPDATE payments.parked_event SET due_at = now()", admin=True)
    assert await replay_parked_events(gateway.deps) == 1
    assert (await until(gateway, dispute["id"], "won"))["closed_by"] == "win"
    over = await gateway.post(f"/v1/disputes/{dispute['id']}/accept")
    assert (over.status, over.body["allowed"]) == (409, []), "a bank's verbs are nobody's to use"
    assert (await gateway.payment(reply.body["id"]))["disputed_minor"] == 0


async def test_the_bank_decides_otherwise_after_the_time_for_evidence_ran_out(
    gateway: RunningGateway,
) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    await settled(
        gateway, "UPDATE payments.dispute SET evidence_due_at = now() - interval '1 second'", admin=True
    )
    assert await expire_disputes(gateway.deps) == 1
    named = {"dispute": await name_of(gateway, dispute), "original": "att_" + reply.body["id"][4:]}
    assert (await report_dispute(gateway, "cev_won", outcome="won", **named)).status == 200
    won = await until(gateway, dispute["id"], "won")
    assert won["closed_by"] == "win"
    assert (await gateway.payment(reply.body["id"]))["disputed_minor"] == 0
    refunded = await gateway.post(f"/v1/payments/{reply.body['id']}/refunds")
    assert (refunded.status, refunded.body["amount_minor"]) == (201, 10_000)
    assert await send_dispute_answers(gateway.deps) == 0, "there is nothing to give in any more"
    assert (await gateway.verification())["balanced"]


async def test_a_parked_report_that_is_not_as_agreed_waits_for_a_person_and_holds_up_no_other(
    gateway: RunningGateway,
) -> None:
    reply = await gateway.pay("tok_dispute_inquiry", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    named = {"dispute": "dpt_unknown", "original": "att_elsewhere"}
    for number, amount in enumerate((10_000, -1)):
        early = await report_dispute(gateway, f"cev_{number}", outcome="won", amount_minor=amount, **named)
        assert early.status == 202
    ours = {"dispute": await name_of(gateway, dispute), "original": "att_" + reply.body["id"][4:]}
    await settled(
        gateway,
        "UPDATE payments.parked_event SET due_at = now(), body = body || CAST(:ours AS jsonb)",
        admin=True,
        ours=orjson.dumps(ours | {"outcome": "closed"}).decode(),
    )
    before = reports_refused_total.labels("card_sim")._value.get()
    assert await replay_parked_events(gateway.deps) == 1
    assert reports_refused_total.labels("card_sim")._value.get() == before + 1
    assert await settled(gateway, "SELECT reason FROM payments.parked_event") == "refused: invalid-request"


async def report_dispute(gateway: RunningGateway, event_id: str, **body: Any) -> Reply:
    told = {
        "type": "dispute.reported", "channel_key": f"key.{event_id}", "channel_reference": "dpt_1",
        "amount_minor": 10_000, "currency": "EUR", "code": "fraudulent",
    }  # fmt: skip
    return await told_by_channel(gateway, "card_sim", event_id, told | body)


@pytest.mark.parametrize("ends", ["accept", "run_out", "lost by the channel"])
async def test_a_lost_dispute_names_the_line_of_the_channels_file(gateway: RunningGateway, ends: str) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    name = await name_of(gateway, dispute)
    if ends == "accept":
        await gateway.post(f"/v1/disputes/{dispute['id']}/accept")
    elif ends == "run_out":
        overdue = "UPDATE payments.dispute SET evidence_due_at = now() - interval '1 second'"
        await settled(gateway, overdue, admin=True)
        assert await expire_disputes(gateway.deps) == 1
    else:
        await operate(gateway, dispute=name, outcome="lost")
    await until(gateway, dispute["id"], "lost")
    await send_dispute_answers(gateway.deps)
    select = "SELECT data->'attempt'->>'id' FROM payments.outbox_event WHERE type = 'dispute.lost.v1'"
    (line,) = [one for one in await gateway.simulators.journal() if one.get("refunded_minor")]
    assert (await settled(gateway, select), line["refunded_minor"]) == (line["key"], 10_000)
    _, file = await gateway.simulators.get("/settlement", channel="card_sim", date=line["at"][:10])
    assert f",{line['key']},refund,10000,EUR," in file.decode()


@pytest.mark.parametrize(("word", "outcome"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
async def test_the_second_acquirer_hears_the_evidence_too(
    fresh_database: FreshDatabase, tmp_path: Path, word: str, outcome: str
) -> None:
    nobody = "http://127.0.0.1:9/card"
    async with run_gateway(await fresh_database("payments"), tmp_path, card_channel_url=nobody) as gateway:
        reply = await gateway.pay("tok_dispute", amount_minor=10_000)
        assert reply.body["channel"] == "card_sim_2"
        dispute = await disputed(gateway, reply.body["id"])
        body = {"evidence": {"uncategorized_text": word}, "submit": True}
        assert (await gateway.post(f"/v1/disputes/{dispute['id']}/evidence", body)).status == 200
        assert await send_dispute_answers(gateway.deps) == 1
        assert (await until(gateway, dispute["id"], outcome))["reserved_minor"] == 10_000
        assert (await gateway.verification())["balanced"]


async def test_an_operator_disputes_a_charge_of_either_acquirer(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    nobody = "http://127.0.0.1:9/card"
    async with run_gateway(await fresh_database("payments"), tmp_path, card_channel_url=nobody) as gateway:
        payment_id = await gateway.captured(10_000)
        async with gateway.deps.engine.connect() as connection:
            key = await connection.scalar(text("SELECT authorised_by FROM payments.payment"))
        opened = await operate(gateway, channel_key=key)
        dispute = await disputed(gateway, payment_id)
        await operate(gateway, dispute=opened["dispute"], outcome="won")
        await until(gateway, dispute["id"], "won")


@pytest.mark.parametrize("verb", ["evidence", "accept"])
async def test_another_merchants_dispute_is_not_there(gateway: RunningGateway, verb: str) -> None:
    reply = await gateway.pay("tok_dispute", amount_minor=10_000)
    dispute = await disputed(gateway, reply.body["id"])
    _, other = await gateway.new_merchant()
    body: dict[str, Any] = {"evidence": {}} if verb == "evidence" else {}
    refused = await gateway.post(f"/v1/disputes/{dispute['id']}/{verb}", body, token=other)
    assert refused.status == 404
    assert (await gateway.call("GET", f"/v1/disputes/{dispute['id']}", token=other)).status == 404
    assert (await gateway.call("GET", "/v1/disputes", token=other)).body["data"] == []


async def name_of(gateway: RunningGateway, dispute: dict[str, Any]) -> str:
    return str(
        await settled(gateway, f"SELECT channel_reference FROM payments.dispute WHERE id = '{dispute['id']}'")
    )
