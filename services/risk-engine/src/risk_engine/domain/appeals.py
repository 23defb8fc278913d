"""Appeals: who asks that a person look again at a decision, what may be asked, and what is answered. Pure.

A merchant asks for itself or for a cardholder, against a payment that was blocked, challenged, or held and then given
up. It becomes a case of its own kind, which nobody decides who decided before; the verdict is a label like any other,
and moves no money, for there is none to move.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from risk_engine.domain.case_effects import Effect
from risk_engine.domain.cases import Case, CaseKind, CaseStatus, Verdict, opened
from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.reviews import Review, priority_of

DUE_AFTER: Final = timedelta(hours=24)  # nothing is held meanwhile: it need not go before what is
UNDECIDED_MAX: Final = 100  # of one merchant: the queue is for everybody


class Appellant(StrEnum):
    """For whom it is asked."""

    MERCHANT = "merchant"
    CARDHOLDER = "cardholder"


class AppealStatus(StrEnum):
    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"


class AppealRefusal(Exception):
    """There is nothing that a person could look at again; the message says why."""


class NothingToAppeal(AppealRefusal):
    """The payment was not stopped."""


class StillInReview(AppealRefusal):
    """The first look is not over."""


def check_appealable(decision: Decision, reviewed: Case | None) -> None:
    """`reviewed` is the case of a payment that was held. Raises NothingToAppeal, StillInReview."""
    if decision is Decision.ALLOW:
        raise NothingToAppeal("The payment was allowed: what became of it was not decided here.")
    if reviewed is None:
        return
    if reviewed.status is not CaseStatus.CLOSED:
        raise StillInReview("A person looks at the payment already: wait for what they say.")
    if reviewed.verdict is Verdict.APPROVE:
        raise NothingToAppeal("The payment was held, and approved.")


def appealed(case_id: str, assessment: Mapping[str, Any], reviewed: Case | None, at: datetime) -> Case:
    """The case of an appeal against a stored assessment."""
    facts, request = assessment["facts"], assessment["request"]
    review = Review(
        assessment_id=assessment["id"],
        payment_id=assessment["payment_id"],
        merchant_id=assessment["merchant_id"],
        amount_minor=request["amount_minor"],
        currency=request["currency"],
        amount_reference_minor=int(facts["amount_reference_minor"]),
        is_unsized=Fault.REFERENCE_RATE in assessment["degraded"],
        priority=priority_of(Band(str(facts["amount_band"])), 0),  # a high score is what it is about
        due_at=at + DUE_AFTER,
        opened_at=at,
        entities=(),  # it gathers nothing: one person asked about one payment
    )
    barred = reviewed.closed_by if reviewed and reviewed.verdict else None
    return opened(case_id, [review], kind=CaseKind.APPEAL, barred=barred)


_STATUSES: Final[Mapping[Verdict | None, AppealStatus]] = {
    None: AppealStatus.OPEN,
    Verdict.APPROVE: AppealStatus.GRANTED,
    Verdict.REJECT: AppealStatus.DENIED,
}
ANSWERS: Final[Mapping[AppealStatus, str]] = {
    AppealStatus.OPEN: "A person will look at the payment again.",
    AppealStatus.GRANTED: "A person looked again and found nothing wrong with the payer, who may try anew.",
    AppealStatus.DENIED: "A person looked again, and the decision stands.",
}
"""What a merchant may be told: it helps nobody who tries stolen cards."""


def status_of(verdict: Verdict | None) -> AppealStatus:
    """How an appeal stands whose case has this verdict."""
    return _STATUSES[verdict]


def effect_of_appeal(verdict: Verdict | None) -> Effect | None:
    """What a verdict has done to a payment that had ended before. None while nothing is decided."""
    return Effect(status_of(verdict), ANSWERS[status_of(verdict)]) if verdict else None
