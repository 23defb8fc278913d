"""What may be appealed, and who may not decide it."""

from dataclasses import replace
from typing import Any

import pytest
from risk_rig import NOON, an_assessment

from risk_engine.domain import appeals as machine
from risk_engine.domain import cases
from risk_engine.domain.appeals import DUE_AFTER, AppealStatus, NothingToAppeal, StillInReview
from risk_engine.domain.cases import Case, CaseKind, CaseStatus, SecondPersonNeeded, Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.reviews import Priority, review_of
from risk_engine.domain.staff import Actor, Role

ADA, BOB = Actor("ada", Role.ANALYST), Actor("bob", Role.ANALYST)


def stored(**facts: Any) -> dict[str, Any]:
    return {
        "id": "asm_1",
        "payment_id": "pay_1",
        "merchant_id": "mer_1",
        "request": {"amount_minor": 5_000, "currency": "EUR"},
        "facts": {"amount_reference_minor": 5_000, "amount_band": "low"} | facts,
        "degraded": [],
    }


def reviewed(status: CaseStatus = CaseStatus.CLOSED, verdict: Verdict | None = Verdict.REJECT) -> Case:
    case = cases.opened("cas_1", [review_of(an_assessment(1, degraded=()))])
    return replace(case, status=status, verdict=verdict, closed_by="ada" if verdict else "system:risk-engine")


@pytest.mark.parametrize(
    ("decision", "case", "refusal"),
    [
        (Decision.ALLOW, None, NothingToAppeal),
        (Decision.REVIEW, reviewed(CaseStatus.OPEN, None), StillInReview),
        (Decision.REVIEW, reviewed(CaseStatus.IN_PROGRESS, None), StillInReview),
        (Decision.REVIEW, reviewed(verdict=Verdict.APPROVE), NothingToAppeal),
        (Decision.REVIEW, reviewed(), None),
        (Decision.REVIEW, reviewed(verdict=None), None),  # the hold ran out, and nobody had looked
        (Decision.BLOCK, None, None),
        (Decision.CHALLENGE, None, None),
    ],
)
def test_what_stopped_a_payment_may_be_appealed_once_it_is_over(
    decision: Decision, case: Case | None, refusal: type[Exception] | None
) -> None:
    if refusal is None:
        machine.check_appealable(decision, case)
        return
    with pytest.raises(refusal):
        machine.check_appealable(decision, case)


def test_an_appeal_is_due_in_a_day_by_its_amount_and_not_by_its_score() -> None:
    case = machine.appealed("cas_2", stored(amount_band="high", amount_reference_minor=90_000), None, NOON)
    assert (case.kind, case.priority, case.due_at) == (CaseKind.APPEAL, Priority.HIGH, NOON + DUE_AFTER)
    assert (case.payment_count, case.amount_reference_minor) == (1, 90_000)


def test_who_rejected_the_payment_does_not_decide_the_appeal() -> None:
    case = machine.appealed("cas_2", stored(), reviewed(), NOON)
    with pytest.raises(SecondPersonNeeded):
        cases.decided(case, ADA, Verdict.APPROVE, NOON, four_eyes_from_minor=0)
    assert cases.decided(case, BOB, Verdict.APPROVE, NOON, four_eyes_from_minor=0).verdict is Verdict.APPROVE
    by_itself = machine.appealed("cas_3", stored(), reviewed(verdict=None), NOON)
    assert by_itself.barred is None


def test_an_appeal_stands_as_its_verdict_says() -> None:
    found = [machine.status_of(verdict) for verdict in (None, Verdict.APPROVE, Verdict.REJECT)]
    assert found == [AppealStatus.OPEN, AppealStatus.GRANTED, AppealStatus.DENIED]
    assert machine.effect_of_appeal(None) is None
    granted = machine.effect_of_appeal(Verdict.APPROVE)
    assert granted is not None
    assert granted.code == "granted"
