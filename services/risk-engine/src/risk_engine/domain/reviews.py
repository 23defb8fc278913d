"""Reviews: which payments a person looks at, how soon, and which of them are looked at together. Pure: no clock, no
store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from risk_engine.domain.assessment import Assessment
from risk_engine.domain.facts import fingerprint
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.rules import Reason, RuleSet

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


class Priority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


_BY_BAND: Final = (Band.LOW, Band.MEDIUM, Band.HIGH, Band.VERY_HIGH)
PRIORITIES: Final = tuple(Priority)
"""The least pressing first."""


def priority_of(band: Band, score: int) -> Priority:
    """By amount, and one step higher for what the model is sure of."""
    step = _BY_BAND.index(band) + (1 if score >= URGENT_SCORE else 0)
    return PRIORITIES[min(step, len(PRIORITIES) - 1)]


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
