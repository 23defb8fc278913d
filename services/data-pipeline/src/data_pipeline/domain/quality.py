"""What must hold of a partition of facts before it is published, and how well it does. Rules are data; how each is
judged stands in `clients/fact_contracts.py` (of rows) and `store/snapshot.py` (of sums across tables)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

SAMPLE_MAX: Final = 5
"""Rows of a sample: enough to see a pattern, too few to be an extract."""


class Severity(StrEnum):
    """`block`: the partition is not published, its last good file stands. `warn`: published, and told."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence that is true of every row, or is not."""

    severity: Severity
    meaning: str


RULES: Final[Mapping[str, Rule]] = {
    "columns": Rule(Severity.BLOCK, "the columns are those of the contract, with its types"),
    "not_null": Rule(Severity.BLOCK, "a value that must be there is"),
    "unique": Rule(Severity.BLOCK, "what names a row names one"),
    "id_form": Rule(Severity.BLOCK, "an id has its prefix"),
    "allowed_value": Rule(Severity.BLOCK, "a word is one of its list"),
    "amount_range": Rule(Severity.BLOCK, "an amount is not negative, and below the largest there is"),
    "moves_money": Rule(Severity.BLOCK, "a transfer moves more than nothing, from one account to another"),
    "currency_exponent": Rule(Severity.BLOCK, "the currency is one whose minor unit is known (ISO 4217)"),
    "score_range": Rule(Severity.BLOCK, "a score lies between 0 and 100"),
    "counts_from_one": Rule(Severity.BLOCK, "versions and positions count from 1"),
    "not_negative": Rule(Severity.BLOCK, "a count or a time taken is not negative"),
    "in_its_partition": Rule(Severity.BLOCK, "the fact happened on the day of its partition"),
    "rollup_equals_detail": Rule(
        Severity.BLOCK, "the day's roll-up and its corrections are the sum of its payments"
    ),
    "journals_are_whole": Rule(Severity.BLOCK, "a journal has all its lines"),
    "captured_within_authorised": Rule(
        Severity.WARN, "no more was captured than was authorised (the gateway's to explain)"
    ),
    "refunded_within_captured": Rule(
        Severity.WARN, "no more was given back than was taken (the gateway's to explain)"
    ),
    "declined_without_money": Rule(Severity.WARN, "a declined payment captured nothing"),
    "times_in_order": Rule(Severity.WARN, "nothing is decided, approved or closed before it began"),
    "not_in_the_future": Rule(Severity.WARN, "nothing happened later than five minutes from now"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that does not hold. `sample` are keys and values at fault of a few rows, never whole rows."""

    rule: str
    failed_count: int
    column: str | None = None
    sample: tuple[Mapping[str, str], ...] = ()

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity


@dataclass(frozen=True, slots=True)
class Examined:
    """One look at one partition."""

    table: str
    day: date
    row_count: int
    failures: tuple[Failure, ...] = ()

    @property
    def is_blocked(self) -> bool:
        return any(one.severity is Severity.BLOCK for one in self.failures)

    @property
    def failed_count(self) -> int:
        """Rows at fault, at most all: one that breaks two rules counts twice, so it is never told too good."""
        return min(self.row_count, sum(one.failed_count for one in self.failures))

    @property
    def score(self) -> float:
        """The share of rows without a fault; where the whole partition is at fault, as when a column lacks, none."""
        if any(one.failed_count == 0 for one in self.failures):
            return 0.0
        return 1 - self.failed_count / self.row_count if self.row_count else 1.0


def failure_document(failure: Failure) -> dict[str, Any]:
    """A failure as it is kept and told."""
    return {
        "rule": failure.rule,
        "severity": failure.severity,
        "meaning": RULES[failure.rule].meaning,
        "column": failure.column,
        "failed_count": failure.failed_count,
        "sample": [dict(row) for row in failure.sample],
    }
