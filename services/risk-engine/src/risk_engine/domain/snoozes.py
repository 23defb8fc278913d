"""Snoozes: a rule that does not count for one card, customer, device or address until a time.

For the good customer who travels, the office behind one address: the rule stays as it is for everybody else, and the
record of the decision says which hits were left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from risk_engine.domain.rules import Evaluation

SNOOZE_MAX: Final = timedelta(days=30)  # longer than that is a change of the rule
SNOOZES_MAX: Final = 1_000  # in force at once: each process holds them all in memory


class SnoozedBy(StrEnum):
    """For what of a payment a rule is snoozed."""

    CARD = "card"
    CUSTOMER = "customer"
    DEVICE = "device"
    IP = "ip"


@dataclass(frozen=True, slots=True)
class Snoozes:
    """Those in force, as one process knows them: (rule, entity) -> until when."""

    until: Mapping[tuple[str, str], datetime]
    change: int = 0  # the newest change of the table that is in them

    def applied(self, evaluation: Evaluation, entities: Iterable[str], now: datetime) -> Evaluation:
        """The evaluation with the snoozed hits left out of `hits` and named in `snoozed`."""
        if not self.until or not evaluation.hits:
            return evaluation
        known = tuple(entities)
        out = {
            rule.id
            for rule in evaluation.hits
            for entity in known
            if (until := self.until.get((rule.id, entity))) is not None and now < until
        }
        return without(evaluation, out)


def without(evaluation: Evaluation, rules: Iterable[str]) -> Evaluation:
    """The evaluation with the hits of `rules` left out, and named in `snoozed`."""
    out = set(rules)
    if not out:
        return evaluation
    return replace(
        evaluation,
        hits=tuple(rule for rule in evaluation.hits if rule.id not in out),
        snoozed=tuple(rule.id for rule in evaluation.hits if rule.id in out),
    )
