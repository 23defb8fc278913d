"""Cases: which payments a person looks at, how soon, and what a person may do with a case. Pure: no clock, no store.

A case belongs to one merchant and gathers what comes in about one card or customer while it is open, so that a person
decides about an attack once and not forty times.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from platform_kit.clock import isoformat
from risk_engine.domain.assessment import Assessment
from risk_engine.domain.facts import fingerprint
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.rules import Reason, RuleSet
from risk_engine.domain.staff import Actor, Role

SLA: Final[Mapping[Band, timedelta]] = MappingProxyType(
    {
        Band.VERY_HIGH: timedelta(hours=1),
        Band.HIGH: timedelta(hours=4),
        Band.MEDIUM: timedelta(hours=12),
        Band.LOW: timedelta(hours=24),
    }
)
"""How soon a case is to be decided, by the amount band of its largest payment: goods wait, and holds last a week."""
URGENT_SCORE: Final = 75  # Radar's "highest risk": one step up in priority, and half of the time
PAYMENTS_MAX: Final = 100  # of one case: the next payment opens another, and a decision's event stays small
LOCK_LASTS: Final = timedelta(minutes=15)  # long enough to read, short enough for who went home


class CaseStatus(StrEnum):
    OPEN = "open"  # nobody has taken it up
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


class Verdict(StrEnum):
    """What a person says of the payments of a case."""

    APPROVE = "approve"  # they are the payer's: take the money
    REJECT = "reject"  # they are fraud: give the holds up


class Priority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


_BY_BAND: Final = (Band.LOW, Band.MEDIUM, Band.HIGH, Band.VERY_HIGH)
_PRIORITIES: Final = tuple(Priority)


def priority_of(band: Band, score: int) -> Priority:
    """By amount, and one step higher for what the model is sure of."""
    step = _BY_BAND.index(band) + (1 if score >= URGENT_SCORE else 0)
    return _PRIORITIES[min(step, len(_PRIORITIES) - 1)]


def due_at(band: Band, score: int, opened_at: datetime) -> datetime:
    """When a payment that came in at `opened_at` is to be decided."""
    return opened_at + (SLA[band] / 2 if score >= URGENT_SCORE else SLA[band])


@dataclass(frozen=True, slots=True)
class Review:
    """A payment that a person is to look at: the rules want it, or the gateway held it by its own policy."""

    assessment_id: str  # of the latter the payment's own id, for there is no assessment
    payment_id: str
    merchant_id: str
    amount_minor: int
    currency: str
    amount_reference_minor: int  # 0 with `is_unsized`
    is_unsized: bool  # its currency has no rate: counts as above every amount
    priority: Priority
    due_at: datetime
    opened_at: datetime
    entities: tuple[str, ...]  # what it shares a case by: `payment:…`, `card:…`, `customer:…`


def review_of(assessment: Assessment) -> Review:
    """What the queue knows of an assessment."""
    subject, facts = assessment.subject, assessment.facts
    band = Band(str(facts["amount_band"]))
    return Review(
        assessment_id=assessment.id,
        payment_id=subject.payment_id,
        merchant_id=subject.merchant_id,
        amount_minor=subject.amount_minor,
        currency=subject.currency,
        amount_reference_minor=int(facts["amount_reference_minor"]),
        is_unsized=Fault.REFERENCE_RATE in assessment.degraded,
        priority=priority_of(band, assessment.score),
        due_at=due_at(band, assessment.score, assessment.decided_at),
        opened_at=assessment.decided_at,
        entities=entities_of(subject.payment_id, subject.card, subject.customer_id),
    )


HELD_ALONE: Final = Reason(
    "gateway_fallback",
    "The risk engine did not answer in time: the gateway held the payment by its amount alone.",
)
"""Why there is a case without an assessment."""


def review_of_hold(payment: Mapping[str, Any], rule_set: RuleSet, held_at: datetime) -> Review:
    """What the queue knows of a payment that the gateway held alone, from one of its events: no score, no card, and the
    customer by the token that assessments know them by."""
    amount_minor, currency = payment["amount_minor"], payment["currency"]
    reference_minor = rule_set.reference_minor(amount_minor, currency)
    band = rule_set.band_of(amount_minor, currency)
    return Review(
        assessment_id=payment["id"],
        payment_id=payment["id"],
        merchant_id=payment["merchant_id"],
        amount_minor=amount_minor,
        currency=currency,
        amount_reference_minor=reference_minor or 0,
        is_unsized=reference_minor is None,
        priority=priority_of(band, 0),
        due_at=due_at(band, 0, held_at),
        opened_at=held_at,
        entities=entities_of(payment["id"], "", (payment.get("customer") or {}).get("subject") or ""),
    )


def entities_of(payment_id: str, card: str, customer_id: str) -> tuple[str, ...]:
    """By what payments of one merchant share a case; by its id a hold meets the assessment that comes late. `card` is a
    fingerprint already, the customer becomes one."""
    named = (("card", card), ("customer", fingerprint("customer", customer_id)))
    return (payment_entity(payment_id), *(f"{name}:{value}" for name, value in named if value))


def payment_entity(payment_id: str) -> str:
    """The entity that one payment alone has."""
    return f"payment:{payment_id}"


LINKED_FOR: Final = timedelta(days=30)


def linked_entities(merchant_id: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """By what payments are related, from an assessment's request. A customer is one merchant's, the rest is not."""
    customer = request["customer"]["id"]
    named = {
        "card": request["card"],
        "customer": fingerprint("customer", f"{merchant_id}/{customer}") if customer else None,
        "device": request["device"],
        "ip": request["ip"],
    }
    return tuple(f"{name}:{value}" for name, value in named.items() if value)


def related_by(merchant_id: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """By what payments are shown as related: the same, and the e-mail. Neither a case nor a snooze goes by an e-mail:
    whoever types one at a checkout may type anybody's."""
    email = request.get("email")
    return (*linked_entities(merchant_id, request), *([f"email:{email}"] if email else []))


def grouped(reviews: Sequence[Review]) -> list[list[Review]]:
    """Those that share a card or a customer of one merchant, also through a third: one case for each group."""
    groups: list[tuple[set[tuple[str, str]], list[Review]]] = []
    for review in reviews:
        keys = {(review.merchant_id, entity) for entity in review.entities}
        joined = [group for group in groups if group[0] & keys]
        groups = [group for group in groups if not group[0] & keys]
        members = [one for group in joined for one in group[1]]
        groups.append((keys.union(*(group[0] for group in joined)), [*members, review]))
    return [members for _, members in groups]


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

    def is_overdue(self, now: datetime) -> bool:
        """Due and not decided."""
        return self.status is not CaseStatus.CLOSED and self.due_at < now

    def holder(self, now: datetime) -> str | None:
        """Who has it locked."""
        return self.locked_by if self.locked_until and self.locked_until > now else None


def opened(case_id: str, reviews: Sequence[Review]) -> Case:
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
    )
    return with_payments(empty, reviews)


def with_payments(case: Case, reviews: Sequence[Review]) -> Case:
    """With more payments: what is at stake grows, and it is due as soon as its most pressing payment. What one person
    proposed about fewer payments counts no more."""
    return replace(
        case,
        priority=max((case.priority, *(one.priority for one in reviews)), key=_PRIORITIES.index),
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

    Raises as `check_workable`, and SecondPersonNeeded for who proposed just that."""
    check_workable(case, actor, now)
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


class PaymentStatus(StrEnum):
    """How a payment of a case stands at the gateway, as far as its events told."""

    UNKNOWN = "unknown"  # nothing heard yet
    HELD = "held"
    CAPTURED = "captured"
    GIVEN_UP = "given_up"  # voided or cancelled
    EXPIRED = "expired"
    REFUSED = "refused"  # by the channel, or failed: there was no money


ENDED: Final = frozenset({PaymentStatus.GIVEN_UP, PaymentStatus.EXPIRED, PaymentStatus.REFUSED})
"""Nothing can be taken or given up any more."""

_NOTHING: Final = ("nothing_to_do", "The payment ended without money; the decision counts as a label only.")
_EFFECTS: Final[Mapping[tuple[Verdict, PaymentStatus], tuple[str, str]]] = MappingProxyType(
    {
        (Verdict.APPROVE, PaymentStatus.CAPTURED): ("captured", "The money was taken."),
        (Verdict.APPROVE, PaymentStatus.GIVEN_UP): (
            "too_late",
            "The merchant gave the hold up: nothing was taken.",
        ),
        (Verdict.APPROVE, PaymentStatus.EXPIRED): ("too_late", "The hold had run out: nothing was taken."),
        (Verdict.APPROVE, PaymentStatus.REFUSED): _NOTHING,
        (Verdict.REJECT, PaymentStatus.GIVEN_UP): ("given_up", "The hold was given up: nothing was taken."),
        (Verdict.REJECT, PaymentStatus.EXPIRED): ("given_up", "The hold ran out: nothing was taken."),
        (Verdict.REJECT, PaymentStatus.REFUSED): _NOTHING,
        (Verdict.REJECT, PaymentStatus.CAPTURED): (
            "refund_by_hand",
            "The money is taken already, and nothing is refunded by itself: the merchant is to refund it.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a verdict has done to a payment: a stable code, and a sentence for people."""

    code: str
    text: str


def effect_of(verdict: Verdict | None, status: PaymentStatus, *, is_manual: bool = False) -> Effect | None:
    """None while nothing is decided. A payment that its merchant captures by hand is left to them when approved."""
    if verdict is None:
        return None
    if verdict is Verdict.APPROVE and is_manual and status in (PaymentStatus.HELD, PaymentStatus.UNKNOWN):
        return Effect("left_to_merchant", "The merchant captures this payment by hand and may do so now.")
    found = _EFFECTS.get((verdict, status))
    return Effect(*found) if found else Effect("pending", "The gateway has not said yet what came of it.")


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
