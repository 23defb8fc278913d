"""Where the score should begin to review, challenge and block, from what each mistake costs.

Every payment of the past whose truth is known has a cost under each of the four decisions. Payments of one score are
treated alike and a higher score is never treated more mildly, so the cheapest assignment is found exactly: over 101
scores and four decisions, a step at a time (Bellman). Amounts and costs are minor units of the reference currency,
shares are basis points. What was blocked or given up has no truth: such payments are missing here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk_engine.domain.decision import Decision
from risk_engine.domain.score import SCORE_MAX

WHOLE_BP = 10_000
LADDER = tuple(Decision)  # from the mildest to the most severe


@dataclass(frozen=True, slots=True)
class Costs:
    """What mistakes cost one merchant or segment."""

    fraud_loss_bp: int = WHOLE_BP
    """of the amount, when a fraud is paid: goods and money are gone"""
    dispute_fee_minor: int = 1_500
    """on top, for each fraud that is paid"""
    margin_bp: int = 1_000
    """of the amount, lost with a good payment that is refused"""
    review_minor: int = 300
    """of one payment that a person looks at"""
    review_misses_bp: int = 1_000
    """of the frauds that a person looks at are paid all the same"""
    challenge_abandons_bp: int = 1_000
    """of the good payers give up when they are challenged"""
    challenge_passes_bp: int = 500
    """of the fraudsters pass the challenge"""

    def of(self, decision: Decision, amount_minor: int, *, is_fraud: bool) -> int:
        """Cost of deciding so about one payment, in ten-thousandths of a minor unit: sums stay whole numbers."""
        paid_fraud = amount_minor * self.fraud_loss_bp + self.dispute_fee_minor * WHOLE_BP
        lost_margin = amount_minor * self.margin_bp
        match decision, is_fraud:
            case Decision.ALLOW, True:
                return paid_fraud
            case Decision.ALLOW, False:
                return 0
            case Decision.REVIEW, True:
                return self.review_minor * WHOLE_BP + paid_fraud * self.review_misses_bp // WHOLE_BP
            case Decision.REVIEW, False:
                return self.review_minor * WHOLE_BP
            case Decision.CHALLENGE, True:
                return paid_fraud * self.challenge_passes_bp // WHOLE_BP
            case Decision.CHALLENGE, False:
                return lost_margin * self.challenge_abandons_bp // WHOLE_BP
            case Decision.BLOCK, True:
                return 0
            case _:
                return lost_margin


@dataclass(frozen=True, slots=True)
class Known:
    """A payment of the past whose truth is known."""

    score: int
    amount_minor: int
    is_fraud: bool
    was: Decision


class CostTable:
    """Adds up, for every score, what each decision would have cost; order does not matter."""

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._by_score = [[0] * len(LADDER) for _ in range(SCORE_MAX + 1)]
        self.payments = self.frauds = self._was = 0

    def add(self, payments: Iterable[Known]) -> None:
        for one in payments:
            row = self._by_score[one.score]
            for step, decision in enumerate(LADDER):
                row[step] += self._costs.of(decision, one.amount_minor, is_fraud=one.is_fraud)
            self.payments += 1
            self.frauds += one.is_fraud
            self._was += self._costs.of(one.was, one.amount_minor, is_fraud=one.is_fraud)

    def as_report(self, allowed: Sequence[Decision] = LADDER) -> dict[str, Any]:
        """What was paid for mistakes, what the cheapest thresholds would have cost, and where they lie."""
        cost, thresholds = cheapest(self._by_score, allowed)
        return {
            "payments": self.payments,
            "frauds": self.frauds,
            "cost_decided_minor": self._was // WHOLE_BP,
            "cost_always_minor": {
                decision.value: sum(row[step] for row in self._by_score) // WHOLE_BP
                for step, decision in enumerate(LADDER)
            },
            "cost_proposed_minor": cost // WHOLE_BP,
            "thresholds": {decision.value: at for decision, at in thresholds.items()},
        }


def cheapest(
    by_score: Sequence[Sequence[int]], allowed: Sequence[Decision] = LADDER
) -> tuple[int, Mapping[Decision, int]]:
    """The least total cost and the score from which each decision more severe than allow begins; one that never pays is
    left out. Of equal costs the milder and the higher threshold win: nobody is troubled for nothing."""
    steps = [
        step for step, decision in enumerate(LADDER) if decision in allowed or decision is Decision.ALLOW
    ]
    best = dict.fromkeys(steps, 0)
    came: list[dict[int, int]] = []
    for row in by_score:
        now: dict[int, int] = {}
        origin: dict[int, int] = {}
        for step in steps:
            before = min((one for one in steps if one <= step), key=lambda one: (best[one], one))
            now[step], origin[step] = best[before] + row[step], before
        best = now
        came.append(origin)
    step = min(steps, key=lambda one: (best[one], one))
    total, thresholds = best[step], dict[Decision, int]()
    for score in range(len(by_score) - 1, -1, -1):
        before = came[score][step]
        if score == 0 or before != step:
            if step > 0:
                thresholds[LADDER[step]] = score
            step = before if score else step
    return total, dict(reversed(thresholds.items()))
