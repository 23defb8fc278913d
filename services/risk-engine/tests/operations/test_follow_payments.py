"""The gateway's events: labels, and how the payments of a case stand."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import NOON, a_subject, an_assessment
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.outbox import Event, Relay
from risk_engine.domain.cases import Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.decide_case import CaseGrew, decide_case
from risk_engine.operations.deps import Deps
from risk_engine.operations.follow_payments import follow_payments
from risk_engine.operations.link_payments import link_payments
from risk_engine.operations.show_cases import show_case
from risk_engine.store import labels, payment_links, tables
from risk_engine.store.assessments import flush, new_row

ADA = Actor("ada", Role.ANALYST)


async def reviewed(deps: Deps, *numbers: int, **subject: Any) -> str:
    """Reviewed payments of one card; their case."""
    items = [
        new_row(an_assessment(n, subject=a_subject(n, **subject), degraded=()), float("inf")) for n in numbers
    ]
    async with deps.engine.begin() as conn:
        await flush(conn, items)
        found = text("SELECT case_id FROM risk.case_payment WHERE payment_id = :id")
        return str(await conn.scalar(found, {"id": f"pay_{numbers[0]}"}))


def told(number: int, status: str, version: int = 2, kind: str = "payment.updated.v1", **more: Any) -> Event:
    payment = {
        "id": f"pay_{number}",
        "merchant_id": "mer_1",
        "status": status,
        "version": version,
        "amount_minor": 1250,
        "captured_minor": 1250,
        "currency": "EUR",
        "capture": more.pop("capture", "automatic"),
        "risk": {"assessment_id": f"asm_{number}", "decision": more.pop("decision", "review")},
    }
    return Event(
        f"evt_{number}{version}", kind, payment["id"], {"payment": payment} | more, NOON, "mer_1", None, 1
    )


async def follow(deps: Deps, *events: Event) -> None:
    async with deps.engine.begin() as conn:
        await follow_payments(conn, events)


async def shown(deps: Deps, case_id: str) -> dict[str, tuple[str, str | None]]:
    """Payment -> (status, code of the effect)."""
    case = await show_case(deps, case_id)
    return {
        one["payment_id"]: (one["status"], one["effect"] and one["effect"]["code"])
        for one in case["payments"]
    }


async def test_a_case_says_what_its_verdict_did_to_each_payment(deps: Deps) -> None:
    case_id = await reviewed(deps, 1, 2, 3, 4)
    await follow(deps, told(1, "authorised"), told(2, "authorised"), told(3, "captured"), told(4, "expired"))
    assert await shown(deps, case_id) == {
        "pay_1": ("held", None),
        "pay_2": ("held", None),
        "pay_3": ("captured", None),
        "pay_4": ("expired", None),
    }
    await decide_case(deps, ADA, case_id, Verdict.REJECT, "Stolen.")
    assert (await shown(deps, case_id))["pay_1"] == ("held", "pending")
    await follow(deps, told(1, "voided", 3), told(2, "captured", 3))
    assert {name: effect for name, (_, effect) in (await shown(deps, case_id)).items()} == {
        "pay_1": "given_up",
        "pay_2": "refund_by_hand",
        "pay_3": "refund_by_hand",
        "pay_4": "given_up",
    }


async def test_an_event_that_comes_late_changes_nothing(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, told(1, "captured", 5), told(1, "authorised", 4))
    await follow(deps, told(1, "authorised", 3))
    assert (await shown(deps, case_id))["pay_1"] == ("captured", None)


async def test_a_case_in_which_nothing_is_left_to_decide_closes_itself(deps: Deps) -> None:
    case_id = await reviewed(deps, 1, 2)
    await follow(deps, told(1, "declined"))
    assert (await show_case(deps, case_id))["status"] == "open", "one of its payments may still come"
    await follow(deps, told(2, "voided"))
    case = await show_case(deps, case_id)
    assert (case["status"], case["verdict"], case["closed_by"]) == ("closed", None, "system:risk-engine")
    assert [act["kind"] for act in case["acts"]] == ["opened", "ended"]
    async with deps.engine.connect() as conn:
        assert await labels.known(conn, NOON + timedelta(days=9), limit=9) == [], (
            "nobody said anything about fraud"
        )
    assert await reviewed(deps, 3) != case_id


async def test_a_captured_payment_keeps_its_case_open_for_the_verdict(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, told(1, "captured"))
    assert (await show_case(deps, case_id))["status"] == "open"


async def test_payments_that_nobody_reviews_touch_no_case(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, told(1, "voided", decision="allow"))
    assert (await shown(deps, case_id))["pay_1"] == ("unknown", None)


async def known(deps: Deps, at: Any = None) -> list[tuple[str, str, str]]:
    async with deps.engine.connect() as conn:
        found = await labels.known(conn, at or NOON + timedelta(days=9), limit=100)
    return [(one["payment_id"], one["kind"], one["source"]) for one in found]


async def test_a_verdict_is_a_label_of_every_payment(deps: Deps) -> None:
    at = replace(deps, clock=FixedClock(NOON))
    first, second = await reviewed(deps, 1, 2), await reviewed(deps, 3, card="other", customer_id="other")
    await decide_case(at, ADA, first, Verdict.REJECT, "Stolen.")
    await decide_case(at, ADA, second, Verdict.APPROVE, "Known payer.")
    assert await known(deps) == [
        ("pay_1", "fraud", "case"),
        ("pay_2", "fraud", "case"),
        ("pay_3", "legitimate", "case"),
    ]
    assert await known(deps, NOON - timedelta(seconds=1)) == [], "not known before it was said"


async def test_disputes_and_refunds_as_fraud_are_labels_and_the_newest_of_a_source_counts(deps: Deps) -> None:
    fraud = {"reason": "fraudulent"}
    await follow(
        deps,
        told(1, "captured", 2, "dispute.opened.v1", dispute=fraud),
        told(1, "captured", 3, "refund.created.v1", refund=fraud),
        told(2, "captured", 2, "dispute.opened.v1", dispute={"reason": "duplicate"}),
    )
    assert await known(deps) == [("pay_1", "fraud", "dispute"), ("pay_1", "fraud", "refund_fraud")]
    await follow(deps, told(1, "captured", 4, "dispute.won.v1", dispute=fraud))
    assert await known(deps) == [("pay_1", "fraud", "refund_fraud"), ("pay_1", "legitimate", "dispute")]
    await follow(deps, told(1, "captured", 4, "dispute.won.v1", dispute=fraud))
    async with deps.engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM risk.label")) == 3, "said again, it is not new"


async def test_a_case_shows_payments_of_the_last_thirty_days_that_share_something(deps: Deps) -> None:
    """Also those that were allowed, and those of other merchants; its own are not among them."""
    other = {"card": "c", "customer_id": "x", "device": "d", "ip": "i"}
    made = [
        a_subject(1, **other | {"card": "card-1"}),
        a_subject(2, **other | {"device": "device-1", "ip": "ip-1"}, merchant_id="mer_2"),
        a_subject(
            3, **other | {"customer_id": "customer-1"}, merchant_id="mer_2"
        ),  # another merchant's customer
        a_subject(4, **other | {"customer_id": "customer-1"}),
        a_subject(5, **other | {"card": "card-1"}, occurred_at=NOON - timedelta(days=31)),
        a_subject(6, **other),
    ]
    items = [an_assessment(subject=one, decision=Decision.ALLOW, degraded=()) for one in made]
    async with deps.engine.begin() as conn:
        await flush(
            conn, [new_row(replace(one, id=f"asm_{one.subject.payment_id}"), float("inf")) for one in items]
        )
    case_id = await reviewed(deps, 10)
    relay = Relay(deps.engine, tables.outbox, deps.redis, "events:risk")
    assert await link_payments(deps) == 0, "what the relay has not numbered is not seen"
    await relay.run_once()
    assert await link_payments(deps) == 7
    assert await link_payments(deps) == 0
    case = await show_case(replace(deps, clock=FixedClock(NOON + timedelta(hours=1))), case_id)
    assert {one["payment_id"]: one["shares"] for one in case["related"]} == {
        "pay_1": ["card"],
        "pay_2": ["device", "ip"],
        "pay_4": ["customer"],
    }
    async with deps.engine.begin() as conn:
        assert await payment_links.prune(conn, NOON) == 4


async def test_a_payment_that_was_sent_again_is_known_by_its_assessment(deps: Deps) -> None:
    """And the case shows the id that the payment has."""
    case_id = await reviewed(deps, 1)
    async with deps.engine.connect() as conn:
        assessment = await conn.scalar(text("SELECT assessment_id FROM risk.case_payment"))
    event = told(7, "authorised")
    event.data["payment"]["risk"]["assessment_id"] = assessment
    await follow(deps, event)
    assert await shown(deps, case_id) == {"pay_7": ("held", None)}


async def test_a_case_does_not_close_over_a_payment_that_joins_it_in_the_same_moment(deps: Deps) -> None:
    """The one who ends it waits for the one who adds: what it then reads must be what is there by then."""
    case_id = await reviewed(deps, 1)
    async with deps.engine.connect() as adding:
        transaction = await adding.begin()
        await flush(adding, [new_row(an_assessment(2, subject=a_subject(2), degraded=()), float("inf"))])
        ending = asyncio.create_task(follow(deps, told(1, "voided")))
        await asyncio.sleep(0.3)
        assert not ending.done(), "it waits for the case's lock"
        await transaction.commit()
        await ending
    case = await show_case(deps, case_id)
    assert (case["status"], case["payment_count"]) == ("open", 2)


async def test_nobody_decides_about_payments_that_they_have_not_seen(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await reviewed(deps, 2)
    with pytest.raises(CaseGrew):
        await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine", seen=1)
    decided = await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine", seen=2)
    assert decided["status"] == "closed"
