"""The record of one decision: what was asked, what was seen, what came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from platform_kit.clock import isoformat
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import Fact, Subject
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.rules import Evaluation, Reason
from risk_engine.domain.trial import Verdict

LIFETIME = timedelta(minutes=15)  # of a decision: later the windows say something else, so ask again


@dataclass(frozen=True, slots=True)
class Assessment:
    """Immutable, written once. `facts` are exactly what the rules read, so that a decision can be replayed."""

    id: str
    fingerprint: bytes  # of the request: the same key with another request is refused
    subject: Subject
    decision: Decision
    score: int  # 0 when no model answered; `degraded` then says so
    probability_ppm: int | None  # the same unrounded, in millionths; None when no model answered
    reasons: tuple[Reason, ...]
    degraded: tuple[Fault, ...]
    rule_set: str
    model: str | None
    facts: Mapping[str, Fact]
    evaluation: Evaluation
    let_through: bool  # it would have been blocked, and is of the random share that is not
    timings_us: Mapping[str, int]
    expires_at: datetime
    other: Verdict | None = None  # what the set that did not decide would have said, on trial

    @property
    def decided_at(self) -> datetime:
        """When it was made."""
        return self.expires_at - LIFETIME

    def as_answer(self) -> dict[str, Any]:
        """The assessment object of the API; events carry it with the request (`request_of`) inside."""
        return {
            "id": self.id,
            "object": "assessment",
            "merchant_id": self.subject.merchant_id,
            "payment_id": self.subject.payment_id,
            "decision": self.decision.value,
            "score": self.score,
            "probability_ppm": self.probability_ppm,
            "reasons": [{"code": reason.code, "text": reason.text} for reason in self.reasons],
            "rule_set": self.rule_set,
            "model": self.model,
            "degraded": [fault.value for fault in self.degraded],
            "expires_at": isoformat(self.expires_at),
        }


def request_of(subject: Subject) -> dict[str, Any]:
    """What was asked, canonically: integers, fingerprints, an explicit event time."""
    known = {
        "email": subject.email,
        "ip_country": subject.ip_country,
        "terminal": subject.terminal,
        "card_bin": subject.card_bin,
        "card_country": subject.card_country,
    }
    return {
        "amount_minor": subject.amount_minor,
        "currency": subject.currency,
        "method": subject.method,
        "card": subject.card or None,
        "customer": {"id": subject.customer_id or None, "country": subject.country or None},
        "device": subject.device or None,
        "ip": subject.ip or None,
        "occurred_at": isoformat(subject.occurred_at),
        **{name: value for name, value in known.items() if value},
    }


def subject_of(merchant_id: str, key: str, payment_id: str, request: Mapping[str, Any]) -> Subject:
    """The subject that `request_of` described: for rebuilding windows and replaying decisions."""
    return Subject(
        merchant_id=merchant_id,
        key=key,
        payment_id=payment_id,
        amount_minor=request["amount_minor"],
        currency=request["currency"],
        method=request["method"],
        occurred_at=datetime.fromisoformat(request["occurred_at"]),
        card=request["card"] or "",
        customer_id=request["customer"]["id"] or "",
        country=request["customer"]["country"] or "",
        ip=request["ip"] or "",
        device=request["device"] or "",
        email=request.get("email", ""),
        ip_country=request.get("ip_country", ""),
        terminal=request.get("terminal", ""),
        card_bin=request.get("card_bin", ""),
        card_country=request.get("card_country", ""),
    )
