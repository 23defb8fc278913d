"""Which channel takes a payment, and why: rules first, then order, split, cost or success rate. Pure.

A decision depends on nothing but its `Facts` and the rules, both of which are stored with it: whoever has them comes to
the same choice, years later and offline (`payment-gateway routing-replay`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from payment_gateway.domain.routing_rules import By, RoutingRules, Rule
from platform_kit.money import exponent

RATE_DIGITS: Final = 6  # scores are stored, and compared with, this many digits
PRIOR: Final = 1  # an unknown channel is worth a try: one success and one failure are assumed


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a channel's authorisations lately. Open and unknown ones count once they are decided."""

    succeeded: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        return (self.succeeded + PRIOR) / (self.succeeded + self.refused + 2 * PRIOR)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision looks at besides the rules. Amounts in minor units of `currency`."""

    payment_id: str
    merchant_id: str
    method: str
    currency: str
    amount_minor: int
    holds: bool
    """The amount is to be held, not taken: some channels cannot."""
    seed: int
    closed: tuple[str, ...] = ()
    """Channels whose breaker is open, or that this deployment does not have."""
    tallies: Mapping[str, tuple[int, int]] | None = None
    """Channel -> (succeeded, refused), as this process knew it."""
    tried: tuple[str, ...] = ()
    """Channels that provably did not process this payment; failing over excludes them."""

    def as_object(self) -> dict[str, Any]:
        """By hand, as `Route` is: `asdict` copies every value of every payment's decision, ten times as dear."""
        return {
            "payment_id": self.payment_id,
            "merchant_id": self.merchant_id,
            "method": self.method,
            "currency": self.currency,
            "amount_minor": self.amount_minor,
            "holds": self.holds,
            "seed": self.seed,
            "closed": self.closed,
            "tallies": self.tallies,
            "tried": self.tried,
        }

    @classmethod
    def of_object(cls, stored: Mapping[str, Any]) -> Facts:
        tallies = {name: (a, b) for name, (a, b) in (stored["tallies"] or {}).items()}
        lists = {name: tuple(stored[name]) for name in ("closed", "tried")}
        return cls(**{**stored, **lists, "tallies": tallies})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that the rule names: taken in order of `score` (less is better), or left out for a reason."""

    channel: str
    score: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The choice, the rule that made it, and what became of the others."""

    channel: str
    reason: str
    rule: str
    candidates: tuple[Candidate, ...]

    def as_object(self) -> dict[str, Any]:
        return {
            "channel": self.channel,
            "reason": self.reason,
            "rule": self.rule,
            "candidates": tuple(
                {"channel": one.channel, "score": one.score, "reason": one.reason} for one in self.candidates
            ),
        }


class NoRoute(Exception):
    """No channel may take this payment now."""

    def __init__(self, candidates: tuple[Candidate, ...] = ()) -> None:
        self.candidates = candidates
        super().__init__("; ".join(f"{c.channel}: {c.reason}" for c in candidates) or "no rule matches")


def seed_of(payment_id: str, number: int) -> int:
    """The chance of a decision: the same for the same attempt of the same payment, for ever."""
    digest = hashlib.blake2b(f"{payment_id}/{number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big")  # below 2**53: any JSON reader keeps it


def choose(facts: Facts, rules: RoutingRules) -> Route:
    """The best channel of the first rule that matches. Raises NoRoute."""
    for rule in rules.rules:
        if _matches(rule, facts):
            return _by_rule(rule, facts, rules)
    raise NoRoute


def _matches(rule: Rule, facts: Facts) -> bool:
    return (
        (not rule.methods or facts.method in rule.methods)
        and (not rule.currencies or facts.currency in rule.currencies)
        and (not rule.merchants or facts.merchant_id in rule.merchants)
        and (rule.amount_from is None or facts.amount_minor >= rule.amount_from)
        and (rule.amount_to is None or facts.amount_minor <= rule.amount_to)
    )


def _by_rule(rule: Rule, facts: Facts, rules: RoutingRules) -> Route:
    scores = _SCORES[rule.by](rule, facts, rules)
    candidates = []
    for channel in rule.channels:
        left_out = _left_out(channel, facts, rules)
        score, why = scores[channel]
        candidates.append(Candidate(channel, None if left_out else score, left_out or why))
    taken = [c for c in candidates if c.score is not None]
    if not taken:
        raise NoRoute(tuple(candidates))
    best = min(taken, key=lambda c: (c.score, rule.channels.index(c.channel)))
    return Route(best.channel, best.reason, rule.name, tuple(candidates))


def _left_out(channel: str, facts: Facts, rules: RoutingRules) -> str | None:
    """Why this channel cannot take the payment; None = it can."""
    able = rules.channels[channel]
    if facts.method not in able.methods:
        return f"does not take {facts.method}"
    if able.currencies and facts.currency not in able.currencies:
        return f"does not take {facts.currency}"
    if facts.holds and not able.holds:
        return "cannot hold an amount"
    if channel in facts.tried:
        return "did not process this payment"
    return "breaker open or not deployed" if channel in facts.closed else None


Scores = dict[str, tuple[float, str]]


def _in_order(rule: Rule, facts: Facts, rules: RoutingRules) -> Scores:
    return {
        name: (float(place), f"place {place + 1} of the rule") for place, name in enumerate(rule.channels)
    }


def _by_split(rule: Rule, facts: Facts, rules: RoutingRules) -> Scores:
    """Each payment falls into one share by the hash of its id; the others are its spares, in order."""
    total = sum(rule.split.values())
    point = seed_of(facts.payment_id, 0) % total
    scores: Scores = {}
    passed = 0
    for place, name in enumerate(rule.channels):
        share = rule.split[name]
        falls = passed <= point < passed + share
        passed += share
        why = f"share {share}/{total}, point {point}"
        scores[name] = (-1.0, why) if falls else (float(place), f"spare; {why}")
    return scores


def _by_cost(rule: Rule, facts: Facts, rules: RoutingRules) -> Scores:
    return {
        name: (float(fee), f"costs {fee} {facts.currency} minor") for name, fee in _fees(rule, facts, rules)
    }


def _fees(rule: Rule, facts: Facts, rules: RoutingRules) -> list[tuple[str, int]]:
    decimals = exponent(facts.currency)
    return [(name, rules.channels[name].fee_minor(facts.amount_minor, decimals)) for name in rule.channels]


def _by_success(rule: Rule, facts: Facts, rules: RoutingRules) -> Scores:
    """Thompson sampling: draw a rate for each channel from what is known of it. Much knowledge draws near the observed
    rate, little draws anywhere, so that a channel that got better is found out."""
    chance = Random(facts.seed)
    scores: Scores = {}
    for name in rule.channels:
        tally = _tally(facts, name)
        drawn = round(chance.betavariate(tally.succeeded + PRIOR, tally.refused + PRIOR), RATE_DIGITS)
        scores[name] = (-drawn, f"drew {drawn:.3f} from {tally.succeeded} paid, {tally.refused} refused")
    return scores


def _by_greedy(rule: Rule, facts: Facts, rules: RoutingRules) -> Scores:
    """The best observed rate, but one payment in 1/epsilon goes to any channel."""
    chance = Random(facts.seed)
    explores = chance.random() < rules.epsilon
    scores: Scores = {}
    for name in rule.channels:
        drawn = round(chance.random() if explores else _tally(facts, name).rate, RATE_DIGITS)
        scores[name] = (-drawn, f"explores, drew {drawn:.3f}" if explores else f"success rate {drawn:.3f}")
    return scores


def _tally(facts: Facts, channel: str) -> Tally:
    return Tally(*(facts.tallies or {}).get(channel, (0, 0)))


_SCORES: Final = {
    By.ORDER: _in_order,
    By.SPLIT: _by_split,
    By.COST: _by_cost,
    By.SUCCESS: _by_success,
    By.GREEDY: _by_greedy,
}
