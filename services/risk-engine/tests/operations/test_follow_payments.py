"""The gateway's events: labels, and how the payments of a case stand."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from risk_rig import NOON, a_subject, an_assessment
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.outbox import Event, Relay
from platform_kit.problems import NotFound
from risk_engine.domain.cases import Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.decide_case import CaseGrew, decide_case
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_related import find_by_email, find_related
from risk_engine.operations.follow_payments import follow_payments
from risk_engine.operations.link_payments import link_payments
from risk_engine.operations.show_cases import show_case
from risk_engine.store import labels, payment_links, tables
from risk_engine.store.assessment_flush import flush, new_row

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
    assert await link_payments(deps) == 8, "seven assessments, and the case that opened"
    assert await link_payments(deps) == 0
    case = await show_case(replace(deps, clock=FixedClock(NOON + timedelta(hours=1))), case_id)
    assert {one["payment_id"]: one["shares"] for one in case["related"]} == {
        "pay_1": ["card"],
        "pay_2": ["device", "ip"],
        "pay_4": ["customer"],
    }
    async with deps.engine.begin() as conn:
        assert await payment_links.prune(conn, NOON) == 4


async def test_payments_are_found_by_what_one_shares_and_by_an_e_mail_that_nobody_keeps(deps: Deps) -> None:
    """A case or a snooze never goes by an e-mail; whoever looks at a payment sees who else gave it."""
    ada = deps.fingerprints.of("email", "ada@example.org")
    alone = {"card": "c", "customer_id": "", "device": "", "ip": ""}
    made = [
        a_subject(1, email=ada),
        a_subject(2, **alone, email=ada, merchant_id="mer_2"),
        a_subject(3, **alone | {"card": "card-1"}),
        a_subject(4, **alone, email=deps.fingerprints.of("email", "bob@example.org")),
        a_subject(5, **alone, email=ada, occurred_at=NOON - timedelta(days=31)),
    ]
    items = [an_assessment(subject=one, decision=Decision.ALLOW, degraded=()) for one in made]
    async with deps.engine.begin() as conn:
        await flush(
            conn, [new_row(replace(one, id=f"asm_{one.subject.payment_id}"), float("inf")) for one in items]
        )
    await Relay(deps.engine, tables.outbox, deps.redis, "events:risk").run_once()
    await link_payments(deps)
    now = replace(deps, clock=FixedClock(NOON + timedelta(hours=1)))
    related = await find_related(now, "asm_pay_1")
    assert {one["payment_id"]: one["shares"] for one in related} == {"pay_2": ["email"], "pay_3": ["card"]}
    found = await find_by_email(now, "Ada@Example.org")
    assert {one["payment_id"] for one in found} == {"pay_1", "pay_2"}
    assert await find_by_email(now, "nobody@example.org") == []
    with pytest.raises(NotFound):
        await find_related(now, "asm_of_nobody")


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


def held_alone(number: int, status: str = "authorised", version: int = 2, **payment: Any) -> Event:
    """The gateway waited in vain, and held the payment for its amount."""
    event = told(number, status, version)
    event.data["payment"] |= {
        "risk": {"assessment_id": None, "decision": "review", "fallback": True}
    } | payment
    return event


async def cases_of_holds(deps: Deps) -> list[str]:
    async with deps.engine.connect() as conn:
        return list(await conn.scalars(text("SELECT id FROM risk.review_case ORDER BY id")))


async def test_what_the_gateway_held_alone_comes_to_a_person(deps: Deps) -> None:
    """The engine was away: it learns of the hold from the gateway's events, and says why there is a case."""
    await follow(deps, held_alone(1, amount_minor=90_000, customer={"subject": "sub_1", "sealed": []}))
    (case_id,) = await cases_of_holds(deps)
    case = await show_case(deps, case_id)
    assert (case["amount_reference_minor"], case["priority"], case["payment_count"]) == (90_000, "high", 1)
    (payment,) = case["payments"]
    assert (payment["payment_id"], payment["status"]) == ("pay_1", "held")
    assert (payment["assessment_id"], payment["score"], payment["request"]) == (None, None, None)
    assert [reason["code"] for reason in payment["reasons"]] == ["gateway_fallback"]


async def test_a_hold_that_is_told_again_opens_no_second_case(deps: Deps) -> None:
    await follow(deps, held_alone(1))
    (case_id,) = await cases_of_holds(deps)
    await follow(deps, held_alone(1))
    await follow(deps, held_alone(1, version=3))
    await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine")
    await follow(deps, held_alone(1, version=4))
    assert await cases_of_holds(deps) == [case_id]


async def test_a_late_assessment_has_opened_the_case_already(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, held_alone(1))
    assert await cases_of_holds(deps) == [case_id]
    assert await shown(deps, case_id) == {"pay_1": ("held", None)}


async def flushed(deps: Deps, number: int, **subject: Any) -> None:
    """A reviewed payment, assessed."""
    async with deps.engine.begin() as conn:
        made = an_assessment(number, subject=a_subject(number, **subject), degraded=())
        await flush(conn, [new_row(made, float("inf"))])


@pytest.mark.parametrize("customer_id", ["", "sub_1"])
async def test_an_assessment_that_is_stored_after_the_hold_was_seen_is_of_the_same_payment(
    deps: Deps, customer_id: str
) -> None:
    """The case learns its score and its card, and the payment is in it once: later payments of the card join it."""
    payer = {"customer": {"subject": customer_id, "sealed": []}} if customer_id else {}
    await follow(deps, held_alone(1, **payer))
    (case_id,) = await cases_of_holds(deps)
    await flushed(deps, 1, customer_id=customer_id)
    case = await show_case(deps, case_id)
    (payment,) = case["payments"]
    assert (case["payment_count"], case["amount_reference_minor"]) == (1, 1250)
    assert payment["assessment_id"] is not None
    assert payment["score"] is not None
    await flushed(deps, 2, customer_id="another")
    assert await cases_of_holds(deps) == [case_id]
    assert set(await shown(deps, case_id)) == {"pay_1", "pay_2"}
    await follow(deps, held_alone(1, "voided", 3), told(2, "voided", 3))
    assert (await show_case(deps, case_id))["status"] == "closed", "nothing of it waits for ever"


async def test_a_late_assessment_of_a_hold_that_was_decided_opens_no_second_case(deps: Deps) -> None:
    await follow(deps, held_alone(1))
    (case_id,) = await cases_of_holds(deps)
    await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine")
    await flushed(deps, 1)
    assert await cases_of_holds(deps) == [case_id]
    assert len((await show_case(deps, case_id))["payments"]) == 1
    await flushed(deps, 2)
    assert len(await cases_of_holds(deps)) == 2, "the card's next payment has a case that is there"


@pytest.mark.parametrize("customer_id", ["", "sub_1"])
async def test_a_hold_waits_for_the_assessment_that_is_stored_in_the_same_moment(
    deps: Deps, customer_id: str
) -> None:
    """The gateway gave up while the engine's commit was slow: whoever is second meets the first."""
    payer = {"customer": {"subject": customer_id, "sealed": []}} if customer_id else {}
    made = an_assessment(1, subject=a_subject(1, customer_id=customer_id), degraded=())
    async with deps.engine.connect() as storing:
        transaction = await storing.begin()
        await flush(storing, [new_row(made, float("inf"))])
        following = asyncio.create_task(follow(deps, held_alone(1, **payer)))
        await asyncio.sleep(0.3)
        assert not following.done()
        await transaction.commit()
        await following
    (case_id,) = await cases_of_holds(deps)
    (payment,) = (await show_case(deps, case_id))["payments"]
    assert (payment["status"], payment["score"]) == ("held", made.score)


async def test_what_was_not_held_needs_nobody(deps: Deps) -> None:
    """Refused, not answered yet, captured by the merchant, or let on by its small amount."""
    events = [
        held_alone(n, status) for n, status in enumerate(("declined", "processing", "captured", "voided"))
    ]
    await follow(
        deps, *events, held_alone(9, risk={"assessment_id": None, "decision": "allow", "fallback": True})
    )
    assert await cases_of_holds(deps) == []


async def test_holds_of_one_customer_are_one_case_and_a_verdict_of_it_is_told_and_kept(deps: Deps) -> None:
    """With assessments of the same customer too: the token is the same."""
    assessed = await reviewed(deps, 1, customer_id="sub_1")
    payer = {"customer": {"subject": "sub_1", "sealed": []}}
    await follow(deps, held_alone(2, **payer), held_alone(3, **payer), held_alone(4))
    assert len(await cases_of_holds(deps)) == 2, "nobody is known of the last"
    assert set(await shown(deps, assessed)) == {"pay_1", "pay_2", "pay_3"}
    await decide_case(deps, ADA, assessed, Verdict.REJECT, "Stolen.")
    assert {payment for payment, _, _ in await known(deps)} == {"pay_1", "pay_2", "pay_3"}
    async with deps.engine.connect() as conn:
        told_of = await conn.scalar(
            text("""
                SELECT one ->> 'assessment_id'
                FROM risk.outbox_event, jsonb_array_elements(data #> '{case,payments}') one
                WHERE type = 'case.decided.v1' AND one ->> 'payment_id' = 'pay_2'
            """)
        )
    assert told_of == "pay_2", "its own id stands for the assessment that there is not"


async def test_nobody_decides_about_payments_that_they_have_not_seen(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await reviewed(deps, 2)
    with pytest.raises(CaseGrew):
        await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine", seen=1)
    decided = await decide_case(deps, ADA, case_id, Verdict.APPROVE, "fine", seen=2)
    assert decided["status"] == "closed"


OF_CASES = text("SELECT type, data FROM risk.outbox_event WHERE starts_with(type, 'case.') ORDER BY seq")


async def told_of_cases(deps: Deps) -> list[tuple[str, dict[str, Any]]]:
    async with deps.engine.connect() as conn:
        return [(row.type, row.data["case"]) for row in await conn.execute(OF_CASES)]


async def test_a_case_is_told_when_it_opens_grows_and_is_decided(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await reviewed(deps, 2)
    await decide_case(deps, ADA, case_id, Verdict.APPROVE, "They are the payer's.")
    (opened, first), (updated, second), (decided, last) = await told_of_cases(deps)
    assert (opened, updated, decided) == ("case.opened.v1", "case.updated.v1", "case.decided.v1")
    assert [one["payment_count"] for one in (first, second, last)] == [1, 2, 2]
    assert {one["id"] for one in (first, second, last)} == {case_id}
    assert datetime.fromisoformat(last["due_at"]) <= datetime.fromisoformat(first["due_at"])
    assert last["opened_at"] == first["opened_at"] == (await show_case(deps, case_id))["opened_at"]
    assert first["closed_at"] is None


async def test_a_case_that_ends_without_a_verdict_is_told(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, told(1, "declined"))
    (_, (kind, case)) = await told_of_cases(deps)
    assert (kind, case["id"]) == ("case.closed.v1", case_id)
    assert case["closed_at"] == (await show_case(deps, case_id))["closed_at"]
