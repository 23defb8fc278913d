"""A small random share of what would be blocked is let through, so that somebody learns what became of it: a model that
only ever sees payments which it allowed itself is trained on its own verdicts.

Who is let through is drawn by a keyed hash of the payer and the day: nobody can tell beforehand, and trying again
under another payment id changes nothing before midnight UTC.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC
from typing import Final

from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import LIST_FACT, Fact, Subject
from risk_engine.domain.rules import Outcome

SHARES: Final = 10_000  # basis points
FIRST: Final = ("card_count_24h", "customer_count_1d", "device_count_1h")  # each counts this payment, too


def is_drawn(secret: bytes, subject: Subject, share_bp: int) -> bool:
    """Whether a payment is among the `share_bp` basis points that are let through: alike for all of a card (else
    customer, device, address; else the payment alone) on one UTC day of `occurred_at`."""
    payer = subject.card or subject.customer_id or subject.device or subject.ip or subject.payment_id
    drawn = f"{subject.occurred_at.astimezone(UTC):%Y-%m-%d}/{payer}".encode()
    digest = hashlib.blake2b(drawn, key=secret[:64], person=b"let-through", digest_size=8).digest()
    return int.from_bytes(digest, "big") % SHARES < share_bp


def may_be_let_through(
    outcome: Outcome, facts: Mapping[str, Fact], amount_minor: int | None, max_minor: int
) -> bool:
    """Only what rules or score block, of an amount (in the reference currency) that is known and small, and only the
    payer's first payment of a day: who is drawn gets one through and no more. Never a payment that a list spoke of, for
    a person put it there; and not while something was missing."""
    return (
        outcome.decision is Decision.BLOCK
        and not outcome.degraded
        and amount_minor is not None
        and amount_minor <= max_minor
        and all(int(facts[name]) <= 1 for name in FIRST)
        and not any(is_on and name.startswith(LIST_FACT) for name, is_on in facts.items())
    )
