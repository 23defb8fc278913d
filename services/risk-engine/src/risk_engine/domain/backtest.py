"""What a rule set would have done: its decisions beside those that were made, held against what became known.

Facts of a stored decision are what was known at that moment, so nothing of the future leaks in. Labels are what is
known now: `fraud`, `legitimate`, or nothing yet. A payment counts as alerted when it is not simply allowed, and as
stopped when it is challenged or blocked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from risk_engine.domain.decision import Decision
from risk_engine.domain.score_curve import ScoreCurve
from risk_engine.domain.shares import share_of
from risk_engine.domain.trial import Pair, difference


@dataclass(frozen=True, slots=True)
class Judged:
    """One payment: decided so, would be decided so, and what became known of it."""

    was: Decision
    would: Decision
    amount_minor: int  # in the reference currency
    is_fraud: bool | None
    hits: tuple[str, ...]  # of the set that is tried
    score: int | None = None  # of the model of that moment


def stops(decision: Decision) -> bool:
    """Whether the money does not move: the payer is challenged or refused."""
    return decision.severity >= Decision.CHALLENGE.severity


@dataclass(slots=True)
class Side:
    """What one of the two decided."""

    decisions: Counter[Decision] = field(default_factory=Counter)
    alerts_on_fraud: int = 0
    alerts_on_legitimate: int = 0
    frauds_stopped: int = 0
    fraud_stopped_minor: int = 0
    good_stopped: int = 0
    good_stopped_minor: int = 0

    def add(self, decision: Decision, judged: Judged) -> None:
        self.decisions[decision] += 1
        if judged.is_fraud is None or decision is Decision.ALLOW:
            return
        is_stopped = stops(decision)
        if judged.is_fraud:
            self.alerts_on_fraud += 1
            self.frauds_stopped += is_stopped
            self.fraud_stopped_minor += judged.amount_minor * is_stopped
        else:
            self.alerts_on_legitimate += 1
            self.good_stopped += is_stopped
            self.good_stopped_minor += judged.amount_minor * is_stopped

    def as_report(self, payments: int, frauds: int, legitimate: int) -> dict[str, Any]:
        alerts = payments - self.decisions[Decision.ALLOW]
        labelled_alerts = self.alerts_on_fraud + self.alerts_on_legitimate
        return {
            "decisions": {decision.value: self.decisions[decision] for decision in Decision},
            "alert_rate": share_of(alerts, payments),
            "precision": share_of(self.alerts_on_fraud, labelled_alerts),
            "recall": share_of(self.alerts_on_fraud, frauds),
            "frauds_stopped": self.frauds_stopped,
            "fraud_stopped_minor": self.fraud_stopped_minor,
            "good_stopped": share_of(self.good_stopped, legitimate) | {"number": self.good_stopped},
            "good_stopped_minor": self.good_stopped_minor,
        }


@dataclass(slots=True)
class Tally:
    """Adds up judged payments; order does not matter."""

    payments: int = 0
    frauds: int = 0
    fraud_minor: int = 0
    legitimate: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[Decision, Decision]] = field(default_factory=Counter)
    was: Side = field(default_factory=Side)
    would: Side = field(default_factory=Side)
    rules: dict[str, Counter[str]] = field(default_factory=dict)
    curve: ScoreCurve = field(default_factory=ScoreCurve)

    def add(self, judged: Iterable[Judged]) -> None:
        for one in judged:
            self.payments += 1
            if one.is_fraud is not None:
                self.frauds += one.is_fraud
                self.fraud_minor += one.amount_minor * one.is_fraud
                self.legitimate += not one.is_fraud
            self.pairs[one.was, one.would] += 1
            self.was.add(one.was, one)
            self.would.add(one.would, one)
            if one.score is not None:
                self.curve.add(one.score, one.amount_minor, is_fraud=one.is_fraud, was_stopped=stops(one.was))
            for rule in one.hits:
                counted = self.rules.setdefault(rule, Counter())
                counted["hits"] += 1
                if one.is_fraud is not None:
                    counted["fraud" if one.is_fraud else "legitimate"] += 1

    def as_report(self) -> Mapping[str, Any]:
        """Everything as JSON. Shares carry their 95 % interval; recall counts frauds that nothing touched."""
        pairs = [Pair(was, would, number) for (was, would), number in self.pairs.items()]
        return {
            "payments": self.payments,
            "labelled": self.frauds + self.legitimate,
            "frauds": self.frauds,
            "fraud_minor": self.fraud_minor,
            "left_out": dict(self.left_out),
            "decided": self.was.as_report(self.payments, self.frauds, self.legitimate),
            "tried": self.would.as_report(self.payments, self.frauds, self.legitimate),
            "money_saved_minor": self.would.fraud_stopped_minor - self.was.fraud_stopped_minor,
            "good_customers_hurt": self.would.good_stopped - self.was.good_stopped,
            "difference": difference(pairs).as_answer(),
            "changed": [
                {"was": was.value, "would": would.value, "number": number}
                for (was, would), number in sorted(self.pairs.items())
                if was is not would
            ],
            "rules": {
                rule: {
                    "hits": counted["hits"],
                    "fraud": counted["fraud"],
                    "legitimate": counted["legitimate"],
                }
                | {"precision": share_of(counted["fraud"], counted["fraud"] + counted["legitimate"])}
                for rule, counted in sorted(self.rules.items())
            },
            "curve": self.curve.as_report(),
        }
