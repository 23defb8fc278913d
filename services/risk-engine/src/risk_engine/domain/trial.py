"""A trial: a challenger judges the same payments as the live set, and decides a share of them or none.

With a share of 0 it runs in the shadow: it is asked, recorded, and changes nothing. Both sets see the same facts of the
same payment, so their answers come in pairs, and the difference of their alert rates is one of paired proportions.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from risk_engine.domain.decision import Decision

SHARE_MAX_BP = 5_000  # half of all payments: beyond it the challenger would be the live set
BASIS_POINTS = 10_000
Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the set that did not decide would have said."""

    rule_set: str
    decision: Decision
    hits: tuple[str, ...]


def is_challenged(share_bp: int, merchant_id: str, key: str) -> bool:
    """Whether the challenger decides this payment. The same key is always on the same side."""
    if not share_bp:
        return False
    digest = hashlib.blake2b(f"trial|{merchant_id}|{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % BASIS_POINTS < share_bp


@dataclass(frozen=True, slots=True)
class Pair:
    """`number` payments that the live set and the challenger judged so."""

    live: Decision
    challenger: Decision
    number: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How the challenger differs. Rates are shares of payments that were not simply allowed."""

    payments: int
    live_alert_rate: float
    challenger_alert_rate: float
    change: float
    """challenger minus live"""
    change_low: float
    change_high: float
    """ends of its 95 % confidence interval"""
    stricter: int
    """payments that the challenger judged more severely"""
    milder: int

    def as_answer(self) -> dict[str, Any]:
        """For the API: rates rounded to a millionth."""
        return {
            "payments": self.payments,
            "live_alert_rate": round(self.live_alert_rate, 6),
            "challenger_alert_rate": round(self.challenger_alert_rate, 6),
            "change": round(self.change, 6),
            "change_95": [round(self.change_low, 6), round(self.change_high, 6)],
            "stricter": self.stricter,
            "milder": self.milder,
        }


def difference(pairs: Iterable[Pair]) -> Difference:
    """What pairs of decisions say. The interval is Bonett and Price's for paired proportions (Journal of Educational
    and Behavioral Statistics 37, 2012): Wald's with half a payment added to each cell, sound for few payments too."""
    counted = list(pairs)
    total = sum(pair.number for pair in counted)
    only_live = sum(pair.number for pair in counted if _alerts(pair.live) and not _alerts(pair.challenger))
    only_challenger = sum(
        pair.number for pair in counted if _alerts(pair.challenger) and not _alerts(pair.live)
    )
    both = sum(pair.number for pair in counted if _alerts(pair.live) and _alerts(pair.challenger))
    gained, lost = (only_challenger + 1) / (total + 2), (only_live + 1) / (total + 2)
    half = Z_95 * sqrt((gained + lost - (gained - lost) ** 2) / (total + 2))
    return Difference(
        payments=total,
        live_alert_rate=(both + only_live) / total if total else 0.0,
        challenger_alert_rate=(both + only_challenger) / total if total else 0.0,
        change=(only_challenger - only_live) / total if total else 0.0,
        change_low=max(-1.0, gained - lost - half),
        change_high=min(1.0, gained - lost + half),
        stricter=sum(pair.number for pair in counted if pair.challenger.severity > pair.live.severity),
        milder=sum(pair.number for pair in counted if pair.challenger.severity < pair.live.severity),
    )


def _alerts(decision: Decision) -> bool:
    return decision is not Decision.ALLOW
