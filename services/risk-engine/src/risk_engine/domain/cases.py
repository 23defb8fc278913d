"""Cases: what a person may do with one, and what becomes of it. Pure: no clock, no store.

A case belongs to one merchant and gathers what comes in about one card or customer while it is open, so that a person
decides about an attack once and not forty times.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from platform_kit.clock import isoformat
from risk_engine.domain.reviews import PRIORITIES, Priority, Review
from risk_engine.domain.staff import Actor, Role

PAYMENTS_MAX: Final = 100  # of one case: the next payment opens another, and a decision's event stays small
LOCK_LASTS: Final = timedelta(minutes=15)  # long enough to read, short enough for who went home


class CaseStatus(StrEnum):
    OPEN = "open"  # nobody has taken it up
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


class CaseKind(StrEnum):
    REVIEW = "review"  # payments are held, or were: the verdict takes the money or gives it up
    APPEAL = (
        "appeal"  # somebody asks against a decision about a payment that has ended: the verdict is a label
    )


class Verdict(StrEnum):
    """What a person says of the payments of a case."""

    APPROVE = "approve"  # they are the payer's: take the money
    REJECT = "reject"  # they are fraud: give the holds up


@dataclass(frozen=True, slots=True)
class Case:
    """The state of a case. Its history is in its acts, its payments beside it."""

    id: str
    merchant_id: str
    status: CaseStatus
    priority: Priority
    amount_reference_minor: int  # at stake: the sum of its payments, in the rule set's reference currency
    is_unsized: bool  # one of them has a currency without a rate
    payment_count: int
    opened_at: datetime
    due_at: datetime
    assignee: str | None = None
    locked_by: str | None = None
    locked_until: datetime | None = None
    proposed: Verdict | None = None  # the first of two people has spoken
    proposed_by: str | None = None
    verdict: Verdict | None = None  # none for a case whose payments ended by themselves
    closed_by: str | None = None
    closed_at: datetime | None = None
    kind: CaseKind = CaseKind.REVIEW
    barred: str | None = None  # decided what an appeal is against, and may not decide it again

    def is_overdue(self, now: datetime) -> bool:
        """Due and not decided."""
        return self.status is not CaseStatus.CLOSED and self.due_at < now

    def holder(self, now: datetime) -> str | None:
        """Who has it locked."""
        return self.locked_by if self.locked_until and self.locked_until > now else None


def opened(
    case_id: str, reviews: Sequence[Review], kind: CaseKind = CaseKind.REVIEW, barred: str | None = None
) -> Case:
    """A new case of at least one payment."""
    first = reviews[0]
    empty = Case(
        id=case_id,
        merchant_id=first.merchant_id,
        status=CaseStatus.OPEN,
        priority=first.priority,
        amount_reference_minor=0,
        is_unsized=False,
        payment_count=0,
        opened_at=first.opened_at,
        due_at=first.due_at,
        kind=kind,
        barred=barred,
    )
    return with_payments(empty, reviews)


def with_payments(case: Case, reviews: Sequence[Review]) -> Case:
    """With more payments: what is at stake grows, and it is due as soon as its most pressing payment. What one person
    proposed about fewer payments counts no more."""
    return replace(
        case,
        priority=max((case.priority, *(one.priority for one in reviews)), key=PRIORITIES.index),
        amount_reference_minor=case.amount_reference_minor
        + sum(one.amount_reference_minor for one in reviews),
        is_unsized=case.is_unsized or any(one.is_unsized for one in reviews),
        payment_count=case.payment_count + len(reviews),
        due_at=min((case.due_at, *(one.due_at for one in reviews))),
        proposed=None,
        proposed_by=None,
    )


class CaseRefusal(Exception):
    """An act that this case does not admit now; the message says what to do."""


class CaseIsClosed(CaseRefusal):
    """It was decided already."""


class CaseIsHeld(CaseRefusal):
    """Somebody else works on it."""


class SecondPersonNeeded(CaseRefusal):
    """Who proposed a decision cannot be the one who agrees."""


class NotYours(CaseRefusal):
    """Only a lead may do that to another person's case."""


def check_workable(case: Case, actor: Actor, now: datetime) -> None:
    """Raises CaseIsClosed, or CaseIsHeld for a case that somebody else has locked or, but for a lead, is assigned."""
    if case.status is CaseStatus.CLOSED:
        raise CaseIsClosed("Read what was decided; payments that come in later open a new case.")
    holder = case.holder(now)
    if holder is not None and holder != actor.name:
        until = isoformat(case.locked_until or now)
        raise CaseIsHeld(f"{holder} works on it until {until}; take another or wait.")
    if case.assignee not in (None, actor.name) and actor.role is not Role.LEAD:
        raise CaseIsHeld(f"It is assigned to {case.assignee}; a lead may reassign it.")


def locked(case: Case, actor: Actor, now: datetime) -> Case:
    """Taken up by `actor` until the lock ends by itself. Raises as `check_workable`."""
    check_workable(case, actor, now)
    return replace(
        case,
        status=CaseStatus.IN_PROGRESS,
        assignee=case.assignee or actor.name,
        locked_by=actor.name,
        locked_until=now + LOCK_LASTS,
    )


def assigned(case: Case, actor: Actor, assignee: str, now: datetime) -> Case:
    """Given to a person; the lock of who had it ends. An analyst takes what is free, a lead gives to anybody.

    Raises CaseIsClosed, CaseIsHeld, NotYours."""
    if actor.role is not Role.LEAD:
        check_workable(case, actor, now)
        if assignee != actor.name:
            raise NotYours("Assign it to yourself, or ask a lead.")
    elif case.status is CaseStatus.CLOSED:
        raise CaseIsClosed("A closed case needs nobody.")
    kept = case.holder(now) == assignee
    return replace(
        case,
        status=CaseStatus.IN_PROGRESS,
        assignee=assignee,
        locked_by=case.locked_by if kept else None,
        locked_until=case.locked_until if kept else None,
    )


def released(case: Case, actor: Actor) -> Case:
    """Back in the queue, lock and all. Raises CaseIsClosed, NotYours."""
    if case.status is CaseStatus.CLOSED:
        raise CaseIsClosed("A closed case needs nobody.")
    if actor.role is not Role.LEAD and case.assignee not in (None, actor.name):
        raise NotYours(f"It is assigned to {case.assignee}; a lead may take it away.")
    return replace(case, status=CaseStatus.OPEN, assignee=None, locked_by=None, locked_until=None)


def decided(case: Case, actor: Actor, verdict: Verdict, now: datetime, *, four_eyes_from_minor: int) -> Case:
    """Closed with `verdict`; or, from that amount on (0 = never), with `verdict` proposed and back in the queue for
    another person. Who says otherwise than the proposal proposes anew.

    Raises as `check_workable`, and SecondPersonNeeded for who proposed just that, or decided what is appealed."""
    check_workable(case, actor, now)
    if case.barred == actor.name:
        raise SecondPersonNeeded("You decided what this appeal is against; somebody else must look.")
    is_large = case.is_unsized or case.amount_reference_minor >= four_eyes_from_minor
    if four_eyes_from_minor > 0 and is_large:
        if case.proposed is verdict and case.proposed_by == actor.name:
            raise SecondPersonNeeded("You proposed this; somebody else must say the same.")
        if case.proposed is not verdict:
            return replace(
                case,
                status=CaseStatus.IN_PROGRESS,
                assignee=None,
                locked_by=None,
                locked_until=None,
                proposed=verdict,
                proposed_by=actor.name,
            )
    return closed(case, actor.name, now, verdict)


def closed(case: Case, actor: str, now: datetime, verdict: Verdict | None = None) -> Case:
    """Closed; without a verdict when its payments ended by themselves."""
    return replace(
        case,
        status=CaseStatus.CLOSED,
        locked_by=None,
        locked_until=None,
        verdict=verdict,
        closed_by=actor,
        closed_at=now,
    )


@dataclass(frozen=True, slots=True)
class Act:
    """One line of a case's history: who did what, and the members that it changed."""

    case_id: str
    actor: str
    kind: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None  # the reason or the note


def act_of(actor: str, kind: str, before: Case, after: Case, text: str | None = None) -> Act:
    """The act that led from `before` to `after`."""
    names = [name for name in Case.__slots__ if getattr(before, name) != getattr(after, name)]
    return Act(before.id, actor, kind, _told(before, names), _told(after, names), text)


def _told(case: Case, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(case, name) for name in names}
    return {name: isoformat(one) if isinstance(one, datetime) else one for name, one in values.items()}
