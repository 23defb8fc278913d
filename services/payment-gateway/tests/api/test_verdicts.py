"""What people decided about payments under review is carried out once, whatever the merchant does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_rig import RunningGateway
from sqlalchemy import text

from payment_gateway.operations.apply_verdicts import apply_verdicts, keep_verdicts
from payment_gateway.store import review_verdicts
from platform_kit.clock import FixedClock, isoformat
from platform_kit.ids import new_id
from platform_kit.outbox import Event

NOW = datetime.now(UTC)


async def reviewed(gateway: RunningGateway, **changes: Any) -> dict[str, Any]:
    """A payment that is authorised and held for a person to look at."""
    gateway.risk.decision = "review"
    payment = (await gateway.pay(**changes)).body
    assert (payment["status"], payment["captured_minor"]) == ("authorised", 0)
    return payment


def decided(verdict: str, *payments: Mapping[str, Any], case_id: str = "cas_1") -> Event:
    named = [
        {"payment_id": payment["id"], "assessment_id": payment["risk"]["assessment_id"]}
        for payment in payments
    ]
    case = {"id": case_id, "verdict": verdict, "decided_at": isoformat(NOW), "payments": named}
    return Event("evt_1", "case.decided.v1", case_id, {"case": case}, NOW, None, None, 1)


async def keep(gateway: RunningGateway, *events: Event) -> None:
    async with gateway.deps.engine.begin() as connection:
        await keep_verdicts(connection, events)


async def carried_out(gateway: RunningGateway, *events: Event) -> int:
    """Keep and carry out; what waits is due at once."""
    await keep(gateway, *events)
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.review_verdict SET due_at = now() WHERE due_at IS NOT NULL")
        )
    return await apply_verdicts(gateway.deps)


async def outcomes(gateway: RunningGateway) -> list[str | None]:
    async with gateway.deps.engine.connect() as connection:
        found = await connection.scalars(
            text("SELECT outcome FROM payments.review_verdict ORDER BY case_id, payment_id")
        )
        return list(found)


async def count(gateway: RunningGateway, query: str, **values: Any) -> int:
    async with gateway.deps.engine.connect() as connection:
        return int(await connection.scalar(text(query), values) or 0)


async def captures(gateway: RunningGateway, payment_id: str) -> int:
    query = (
        "SELECT count(*) FROM payments.outbox_event WHERE type = 'payment.captured.v1' AND aggregate_id = :id"
    )
    return await count(gateway, query, id=payment_id)


async def test_what_is_approved_is_captured_once_however_often_it_is_told(gateway: RunningGateway) -> None:
    payment = await reviewed(gateway)
    approved = decided("approve", payment)
    assert await carried_out(gateway, approved) == 1
    assert await carried_out(gateway, approved) == 0
    after = await gateway.payment(payment["id"])
    assert (after["status"], after["captured_minor"]) == ("captured", 1250)
    assert await outcomes(gateway) == ["captured"]
    assert await captures(gateway, payment["id"]) == 1
    assert (await gateway.verification())["balanced"]


async def test_what_is_rejected_is_given_up(gateway: RunningGateway) -> None:
    first, second = await reviewed(gateway), await reviewed(gateway)
    assert await carried_out(gateway, decided("reject", first, second)) == 2
    assert [await gateway.status(one["id"]) for one in (first, second)] == ["voided", "voided"]
    assert await outcomes(gateway) == ["given_up", "given_up"]


@pytest.mark.parametrize(
    ("verdict", "act", "outcome", "status"),
    [
        ("approve", "capture", "captured", "captured"),
        ("approve", "void", "nothing_held", "voided"),
        ("reject", "void", "given_up", "voided"),
        ("reject", "capture", "already_captured", "captured"),
    ],
)
async def test_the_merchant_may_have_acted_first_and_nothing_is_refunded_by_itself(
    gateway: RunningGateway, verdict: str, act: str, outcome: str, status: str
) -> None:
    payment = await reviewed(gateway)
    assert (await gateway.post(f"/v1/payments/{payment['id']}/{act}")).status == 200
    assert await carried_out(gateway, decided(verdict, payment)) == 1
    after = await gateway.payment(payment["id"])
    assert (after["status"], after["refunded_minor"]) == (status, 0)
    assert await outcomes(gateway) == [outcome]


async def test_of_a_hold_that_was_captured_in_part_the_rest_is_given_up(gateway: RunningGateway) -> None:
    payment = await reviewed(gateway)
    await gateway.post(f"/v1/payments/{payment['id']}/capture", {"amount_minor": 250})
    assert await carried_out(gateway, decided("reject", payment)) == 1
    after = await gateway.payment(payment["id"])
    assert (after["status"], after["captured_minor"], after["refunded_minor"]) == ("captured", 250, 0)
    assert await outcomes(gateway) == ["already_captured"]


async def test_a_payment_that_is_captured_by_hand_is_left_to_its_merchant(gateway: RunningGateway) -> None:
    payment = await reviewed(gateway, capture="manual")
    assert await carried_out(gateway, decided("approve", payment)) == 1
    assert await gateway.status(payment["id"]) == "authorised"
    assert await outcomes(gateway) == ["left_to_merchant"]


async def test_merchant_and_verdict_at_once_capture_once(gateway: RunningGateway) -> None:
    payment = await reviewed(gateway)
    approved = decided("approve", payment)
    await keep(gateway, approved)
    await asyncio.gather(apply_verdicts(gateway.deps), gateway.post(f"/v1/payments/{payment['id']}/capture"))
    await carried_out(gateway, approved)
    assert await gateway.status(payment["id"]) == "captured"
    assert await captures(gateway, payment["id"]) == 1
    assert await outcomes(gateway) == ["captured"]
    assert (await gateway.verification())["balanced"]


async def test_a_verdict_about_an_earlier_try_of_a_payment_does_not_touch_the_later_one(
    gateway: RunningGateway,
) -> None:
    payment = await reviewed(gateway)
    earlier = payment | {"risk": payment["risk"] | {"assessment_id": "asm_earlier"}}
    assert await carried_out(gateway, decided("approve", earlier)) == 1
    assert await gateway.status(payment["id"]) == "authorised"
    assert await outcomes(gateway) == ["assessed_anew"]


async def test_a_payment_that_never_comes_is_given_up_after_an_hour(gateway: RunningGateway) -> None:
    absent = {"id": "pay_absent", "risk": {"assessment_id": "asm_1"}}
    assert await carried_out(gateway, decided("approve", absent)) == 0
    assert await outcomes(gateway) == [None], "its creation may still be on the way"
    late = replace(gateway.deps, clock=FixedClock(NOW + timedelta(hours=1, seconds=1)))
    gateway.deps = late
    assert await carried_out(gateway) == 1
    assert await outcomes(gateway) == ["unknown_payment"]


async def test_what_the_channel_refuses_is_tried_again_and_then_left_to_people(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await reviewed(gateway)
    channel = gateway.deps.channels[payment["channel"]]
    from payment_gateway.domain.attempt import Declined

    async def refuse(self: object, attempt: object, details: object) -> Declined:
        return Declined("hold_expired")

    monkeypatch.setattr(type(channel), "send", refuse)
    approved = decided("approve", payment)
    for _ in range(7):
        assert await carried_out(gateway, approved) == 0
    assert await carried_out(gateway, approved) == 1
    assert await outcomes(gateway) == ["channel_refused"]
    assert await gateway.status(payment["id"]) == "authorised"


async def test_waiting_is_no_refusal(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long after the first minutes one refusal of the channel is the first, and the verdict is carried out."""
    from payment_gateway.domain.attempt import Declined

    payment = await reviewed(gateway)
    approved = decided("approve", payment)
    await keep(gateway, approved)
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.review_verdict SET tries = 50"))
    channel = gateway.deps.channels[payment["channel"]]

    async def refuse(self: object, attempt: object, details: object) -> Declined:
        return Declined("hold_expired")

    with monkeypatch.context() as refusing:
        refusing.setattr(type(channel), "send", refuse)
        assert await carried_out(gateway) == 0
    assert await outcomes(gateway) == [None]
    assert await carried_out(gateway) == 1
    assert await outcomes(gateway) == ["captured"]


async def test_a_payment_that_the_gateway_held_alone_is_known_by_its_own_id(gateway: RunningGateway) -> None:
    payment = await reviewed(gateway)
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text(
                """UPDATE payments.payment SET risk = risk || '{"assessment_id": null, "fallback": true}'
                   WHERE id = :id"""
            ),
            {"id": payment["id"]},
        )
    alone = payment | {"risk": payment["risk"] | {"assessment_id": payment["id"]}}
    assert await carried_out(gateway, decided("approve", alone)) == 1
    assert (await gateway.payment(payment["id"]))["status"] == "captured"


async def test_a_verdict_is_taken_up_by_one_worker_and_comes_again_when_that_one_dies(
    gateway: RunningGateway,
) -> None:
    payment = await reviewed(gateway)
    await keep(gateway, decided("approve", payment))
    async with gateway.deps.engine.begin() as one, gateway.deps.engine.begin() as other:
        assert len(await review_verdicts.claim(one, 10)) == 1
        assert await review_verdicts.claim(other, 10) == []
    assert await apply_verdicts(gateway.deps) == 0, "not before its time"
    assert await carried_out(gateway) == 1


async def test_an_event_that_is_no_verdict_is_passed_over_and_a_broken_one_is_set_aside(
    gateway: RunningGateway,
) -> None:
    await keep(gateway, Event("evt_2", "assessment.made.v1", "asm_1", {}, NOW, None, None, 2))
    broken = decided("perhaps", await reviewed(gateway))
    with pytest.raises(ValueError, match="neither approve nor reject"):
        await keep(gateway, broken)
    async with gateway.deps.engine.begin() as connection:
        await review_verdicts.quarantine(connection, broken, ValueError("x"))
        await review_verdicts.quarantine(connection, broken, ValueError("x"))
    assert await count(gateway, "SELECT count(*) FROM payments.quarantined_event") == 1
    assert await outcomes(gateway) == []


async def test_a_payment_that_was_sent_again_is_found_by_its_assessment(gateway: RunningGateway) -> None:
    """The answer to the first try was lost: that one was assessed under an id that no payment has."""
    payment = await reviewed(gateway)
    assert await carried_out(gateway, decided("approve", payment | {"id": new_id("pay")})) == 1
    assert (await gateway.payment(payment["id"]))["status"] == "captured"
    assert await outcomes(gateway) == ["captured"]


async def test_a_hold_by_the_gateway_s_own_policy_is_its_case_s_too(gateway: RunningGateway) -> None:
    """The assessment came too late to be known here; the case names the payment."""
    payment = await reviewed(gateway)
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.payment SET risk = risk || jsonb_build_object('assessment_id', NULL)")
        )
    assert await carried_out(gateway, decided("reject", payment)) == 1
    assert (await gateway.payment(payment["id"]))["status"] == "voided"
