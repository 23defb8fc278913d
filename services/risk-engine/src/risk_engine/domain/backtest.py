"""What a rule set would have done: its decisions beside those that were made, held against what became known.

Facts of a stored decision are what was known at that moment, so nothing of the future leaks in. Labels are what is
known now: `fraud`, `legitimate`, or nothing yet. A payment counts as alerted when it is not simply allowed, and as
stopped when it is challenged or blocked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from risk_engine.domain.decision import Decision
from risk_engine.domain.trial import Z_95, Pair, difference


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): sound for few trials and for shares near 0 and 1; (0, 1) for none."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Judged:
    """One payment: decided so, would be decided so, and what became known of it."""

    was: Decision
    would: Decision
    amount_minor: int  # in the reference currency
    is_fraud: bool | None
    hits: tuple[str, ...]  # of the set that is tried


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
        is_stopped = decision.severity >= Decision.CHALLENGE.severity
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
            "alert_rate": _rate(alerts, payments),
            "precision": _rate(self.alerts_on_fraud, labelled_alerts),
            "recall": _rate(self.alerts_on_fraud, frauds),
            "frauds_stopped": self.frauds_stopped,
            "fraud_stopped_minor": self.fraud_stopped_minor,
            "good_stopped": _rate(self.good_stopped, legitimate) | {"number": self.good_stopped},
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
                | {"precision": _rate(counted["fraud"], counted["fraud"] + counted["legitimate"])}
                for rule, counted in sorted(self.rules.items())
            },
        }


def _rate(successes: int, trials: int) -> dict[str, Any]:
    low, high = wilson(successes, trials)
    share = successes / trials if trials else None
    return {
        "share": None if share is None else round(share, 6),
        "low_95": round(low, 6),
        "high_95": round(high, 6),
    }
