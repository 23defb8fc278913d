"""What a person may do with a case, how soon, and which payments share one."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_rig import NOON, a_subject, an_assessment, facts_of

from risk_engine.domain import cases as machine
from risk_engine.domain.case_effects import PaymentStatus, effect_of
from risk_engine.domain.cases import (
    LOCK_LASTS,
    Case,
    CaseIsClosed,
    CaseIsHeld,
    CaseStatus,
    NotYours,
    SecondPersonNeeded,
    Verdict,
    opened,
    with_payments,
)
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.reviews import SLA, Priority, Review, grouped, priority_of, review_of
from risk_engine.domain.staff import Actor, Role

ADA, BOB = Actor("ada", Role.ANALYST), Actor("bob", Role.ANALYST)
LEAD = Actor("lea", Role.LEAD)


def a_review(number: int = 1, **changes: object) -> Review:
    made = review_of(an_assessment(number, degraded=()))
    return replace(made, **changes)


def a_case(**changes: object) -> Case:
    return replace(opened("cas_1", [a_review()]), **changes)


@pytest.mark.parametrize(
    ("band", "score", "priority", "hours"),
    [
        (Band.LOW, 0, Priority.LOW, 24),
        (Band.MEDIUM, 74, Priority.MEDIUM, 12),
        (Band.MEDIUM, 75, Priority.HIGH, 6),
        (Band.HIGH, 0, Priority.HIGH, 4),
        (Band.VERY_HIGH, 0, Priority.URGENT, 1),
        (Band.VERY_HIGH, 100, Priority.URGENT, 0.5),
    ],
)
def test_amount_and_score_say_how_soon(band: Band, score: int, priority: Priority, hours: float) -> None:
    review = review_of(an_assessment(score=score, facts=facts_of(amount_band=band.value)))
    assert (review.priority, review.due_at) == (priority, NOON + timedelta(hours=hours))
    assert priority_of(band, score) is priority


def test_larger_amounts_are_never_due_later() -> None:
    assert sorted(SLA.values()) == [SLA[band] for band in (Band.VERY_HIGH, Band.HIGH, Band.MEDIUM, Band.LOW)]


def test_an_amount_that_nobody_could_size_is_marked() -> None:
    assert review_of(an_assessment(degraded=(Fault.REFERENCE_RATE,))).is_unsized
    assert not review_of(an_assessment()).is_unsized


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from("cdefg"), max_size=2)), max_size=12))
def test_payments_share_a_case_exactly_when_a_chain_of_entities_joins_them(
    drawn: list[tuple[str, set[str]]],
) -> None:
    reviews = [
        a_review(n, assessment_id=f"asm_{n}", merchant_id=merchant, entities=tuple(sorted(entities)))
        for n, (merchant, entities) in enumerate(drawn)
    ]
    groups = grouped(reviews)
    assert sorted(one.assessment_id for group in groups for one in group) == sorted(
        one.assessment_id for one in reviews
    )
    where = {one.assessment_id: n for n, group in enumerate(groups) for one in group}
    reached = {one.assessment_id: {one.assessment_id} for one in reviews}
    for _ in reviews:  # closure by brute force
        for one, other in product(reviews, reviews):
            if one.merchant_id == other.merchant_id and set(one.entities) & set(other.entities):
                reached[one.assessment_id] |= reached[other.assessment_id]
    for one, other in product(reached, reached):
        assert (where[one] == where[other]) == (other in reached[one])


def test_a_payment_with_neither_card_nor_customer_has_a_case_of_its_own() -> None:
    bare = [review_of(an_assessment(n, subject=a_subject(n, card="", customer_id=""))) for n in (1, 2)]
    assert [one.entities for one in bare] == [("payment:pay_1",), ("payment:pay_2",)]
    assert len(grouped(bare)) == 2


def test_a_case_is_as_pressing_as_its_most_pressing_payment() -> None:
    case = opened("cas_1", [a_review(amount_reference_minor=100)])
    more = a_review(priority=Priority.URGENT, due_at=NOON + timedelta(hours=1), amount_reference_minor=900)
    grown = with_payments(replace(case, proposed=Verdict.APPROVE, proposed_by="ada"), [more])
    assert (grown.priority, grown.due_at) == (Priority.URGENT, NOON + timedelta(hours=1))
    assert (grown.amount_reference_minor, grown.payment_count) == (1000, 2)
    assert (grown.proposed, grown.proposed_by) == (None, None), "it was proposed about fewer payments"
    assert with_payments(grown, [a_review()]).due_at == grown.due_at


def test_a_lock_keeps_others_out_until_it_ends_by_itself() -> None:
    taken = machine.locked(a_case(), ADA, NOON)
    assert (taken.status, taken.assignee, taken.locked_until) == ("in_progress", "ada", NOON + LOCK_LASTS)
    for other in (BOB, LEAD):
        with pytest.raises(CaseIsHeld, match="ada works on it until"):
            machine.decided(taken, other, Verdict.APPROVE, NOON, four_eyes_from_minor=0)
    later = NOON + LOCK_LASTS
    with pytest.raises(CaseIsHeld, match="assigned to ada"):  # the lock has ended, the assignment has not
        machine.locked(taken, BOB, later)
    assert machine.locked(taken, LEAD, later).locked_by == "lea"


def test_an_analyst_takes_what_is_free_and_a_lead_gives_to_anybody() -> None:
    assert machine.assigned(a_case(), ADA, "ada", NOON).assignee == "ada"
    with pytest.raises(NotYours):
        machine.assigned(a_case(), ADA, "bob", NOON)
    taken = machine.locked(a_case(), ADA, NOON)
    with pytest.raises(CaseIsHeld):
        machine.assigned(taken, BOB, "bob", NOON)
    given = machine.assigned(taken, LEAD, "bob", NOON)
    assert (given.assignee, given.locked_by) == ("bob", None)
    with pytest.raises(NotYours):
        machine.released(given, ADA)
    assert machine.released(given, BOB).assignee is None
    assert machine.released(given, LEAD).status is CaseStatus.OPEN
    shut = machine.closed(given, "bob", NOON)
    for act in (
        lambda: machine.assigned(shut, LEAD, "ada", NOON),
        lambda: machine.released(shut, LEAD),
        lambda: machine.locked(shut, ADA, NOON),
    ):
        with pytest.raises(CaseIsClosed):
            act()


def decided(case: Case, actor: Actor, verdict: Verdict, from_minor: int = 1000) -> Case:
    return machine.decided(case, actor, verdict, NOON, four_eyes_from_minor=from_minor)


def test_below_the_amount_one_person_decides() -> None:
    done = decided(a_case(amount_reference_minor=999), ADA, Verdict.REJECT)
    assert (done.status, done.verdict, done.closed_by, done.closed_at) == ("closed", "reject", "ada", NOON)
    assert decided(a_case(amount_reference_minor=10**9), ADA, Verdict.REJECT, 0).status == "closed"


@pytest.mark.parametrize("large", [a_case(amount_reference_minor=1000), a_case(is_unsized=True)])
def test_from_the_amount_on_two_people_must_say_the_same(large: Case) -> None:
    proposed = decided(machine.locked(large, ADA, NOON), ADA, Verdict.APPROVE)
    assert (proposed.status, proposed.proposed_by, proposed.assignee) == ("in_progress", "ada", None)
    assert proposed.locked_by is None, "it is free for the second person"
    with pytest.raises(SecondPersonNeeded):
        decided(proposed, ADA, Verdict.APPROVE)
    otherwise = decided(proposed, BOB, Verdict.REJECT)
    assert (otherwise.status, otherwise.proposed, otherwise.proposed_by) == ("in_progress", "reject", "bob")
    done = decided(otherwise, ADA, Verdict.REJECT)
    assert (done.status, done.verdict, done.proposed_by, done.closed_by) == ("closed", "reject", "bob", "ada")
    with pytest.raises(CaseIsClosed):
        decided(done, BOB, Verdict.REJECT)


def test_who_changes_their_mind_proposes_anew_and_still_needs_another() -> None:
    proposed = decided(a_case(amount_reference_minor=1000), ADA, Verdict.APPROVE)
    turned = decided(proposed, ADA, Verdict.REJECT)
    assert (turned.proposed, turned.proposed_by, turned.status) == ("reject", "ada", "in_progress")


def test_every_verdict_says_what_it_did_to_a_payment_in_every_state() -> None:
    told = {
        (verdict, status): effect_of(verdict, status) for verdict, status in product(Verdict, PaymentStatus)
    }
    assert all(effect is not None and effect.text.endswith(".") for effect in told.values())
    pending = {status for (_, status), effect in told.items() if effect and effect.code == "pending"}
    assert pending == {PaymentStatus.UNKNOWN, PaymentStatus.HELD}
    late = told[Verdict.REJECT, PaymentStatus.CAPTURED]
    assert late is not None
    assert late.code == "refund_by_hand"
    assert effect_of(None, PaymentStatus.HELD) is None


def test_an_approved_payment_that_is_captured_by_hand_is_left_to_its_merchant() -> None:
    left = effect_of(Verdict.APPROVE, PaymentStatus.HELD, is_manual=True)
    assert left is not None
    assert left.code == "left_to_merchant"
    taken = effect_of(Verdict.APPROVE, PaymentStatus.CAPTURED, is_manual=True)
    assert taken is not None
    assert taken.code == "captured"


def test_an_act_names_what_changed_and_nothing_else() -> None:
    before = a_case()
    act = machine.act_of(
        "ada", "decided", before, machine.closed(before, "ada", NOON, Verdict.APPROVE), "known"
    )
    assert act.before == {"status": "open", "verdict": None, "closed_by": None, "closed_at": None}
    assert act.after["closed_at"] == "2026-11-23T12:00:00.000000Z"
    assert act.text == "known"
