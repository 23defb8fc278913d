"""A rule set and the one function that decides.

`decide` is the only place where hits, score and faults become a decision: live traffic, tests and (later) backtest
and shadow runs all call it. The rule language is behind a port (`clients/cel.py`); nothing here knows it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_kit.money import exponent
from risk_engine.domain.decision import Decision, most_severe
from risk_engine.domain.failure_policy import FAULT_REASONS, Band, Fault, floor_of


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: `code` is stable for programs, `text` one sentence for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`when` (an expression over the facts) proposes `then`; `code` and `text` are its reason."""

    id: str
    when: str
    then: Decision
    reason: Reason


@dataclass(frozen=True, slots=True)
class ScoreBand:
    """A score of at least `at_least` (0-100) proposes `then`."""

    at_least: int
    then: Decision
    reason: Reason


@dataclass(frozen=True, slots=True)
class AmountBands:
    """Where medium, high and very high begin, in minor units of the currency they are given for."""

    medium: int
    high: int
    very_high: int

    def band(self, amount_minor: int) -> Band:
        """The band of an amount in this currency."""
        if amount_minor >= self.very_high:
            return Band.VERY_HIGH
        if amount_minor >= self.high:
            return Band.HIGH
        return Band.MEDIUM if amount_minor >= self.medium else Band.LOW


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that decides besides the model: immutable, named by the hash of its content.

    `reference_rates` says what one major unit of a currency is worth, in millionths of the reference currency's
    major unit; they make amounts comparable and are part of the set so that a decision can be replayed exactly.
    """

    name: str
    reference_currency: str
    reference_rates: Mapping[str, int]
    bands: AmountBands  # in the reference currency
    currency_bands: Mapping[str, AmountBands]  # overrides, each in its own currency
    score_bands: tuple[ScoreBand, ...]
    rules: tuple[Rule, ...]
    document: Mapping[str, Any] = field(repr=False)
    hash: str = field(repr=False)

    def reference_minor(self, amount_minor: int, currency: str) -> int | None:
        """The amount in minor units of the reference currency, rounded half up; None without a rate."""
        rate = self.reference_rates.get(currency)
        if rate is None:
            return None
        numerator: int = amount_minor * rate * 10 ** exponent(self.reference_currency)
        denominator: int = 1_000_000 * 10 ** exponent(currency)
        return (2 * numerator + denominator) // (2 * denominator)

    def band_of(self, amount_minor: int, currency: str) -> Band:
        """The amount's band; a currency with neither bands nor a rate counts as very high: nobody sized it."""
        if own := self.currency_bands.get(currency):
            return own.band(amount_minor)
        reference_minor = self.reference_minor(amount_minor, currency)
        return Band.VERY_HIGH if reference_minor is None else self.bands.band(reference_minor)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules said about one payment: which matched, which failed and why, which could not be asked."""

    hits: tuple[Rule, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()  # (rule id, what it raised)
    skipped: tuple[str, ...] = ()  # rule ids whose facts were missing because of a fault
    snoozed: tuple[
        str, ...
    ] = ()  # rule ids that matched and do not count for this payment's card, customer, ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision, its reasons (most severe first) and what was missing while it was made."""

    decision: Decision
    reasons: tuple[Reason, ...]
    degraded: tuple[Fault, ...]


def decide(
    rule_set: RuleSet, evaluation: Evaluation, score: int | None, band: Band, faults: Sequence[Fault] = ()
) -> Outcome:
    """The most severe of: the hits, the score's band, the failure policy for `faults` (and for rule errors).

    Pure and total; more hits, a higher score or more faults never make the outcome milder.
    """
    degraded = (*faults, Fault.RULE_ERROR) if evaluation.errors else tuple(faults)
    proposals = [(rule.then, rule.reason) for rule in evaluation.hits]
    if score is not None and (found := score_band(rule_set, score)):
        proposals.append((found.then, found.reason))
    for fault in degraded:
        floor = floor_of((fault,), band)
        if floor is not Decision.ALLOW:
            proposals.append((floor, Reason(f"degraded_{fault}", FAULT_REASONS[fault])))
    ordered = sorted(proposals, key=lambda proposal: -proposal[0].severity)
    decision = most_severe(proposal for proposal, _ in ordered)
    return Outcome(decision, tuple(reason for _, reason in ordered), degraded)


def score_band(rule_set: RuleSet, score: int) -> ScoreBand | None:
    """The highest band that `score` reaches; bands are kept in descending order."""
    return next((band for band in rule_set.score_bands if score >= band.at_least), None)


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 over the document's canonical JSON: sorted keys, no spaces, so order and comments do not matter."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
