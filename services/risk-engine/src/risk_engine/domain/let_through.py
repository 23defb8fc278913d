"""A small random share of what would be blocked is let through, so that somebody learns what became of it: a model that
only ever sees payments which it allowed itself is trained on its own verdicts.

Which payments is decided by a keyed hash of the payment's id: nobody can tell beforehand, and the same payment is
always decided alike.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import LIST_FACT, Fact
from risk_engine.domain.rules import Outcome

SHARES: Final = 10_000  # basis points


def is_drawn(secret: bytes, payment_id: str, share_bp: int) -> bool:
    """Whether a payment is among the `share_bp` basis points that are let through."""
    digest = hashlib.blake2b(
        payment_id.encode(), key=secret[:64], person=b"let-through", digest_size=8
    ).digest()
    return int.from_bytes(digest, "big") % SHARES < share_bp


def may_be_let_through(
    outcome: Outcome, facts: Mapping[str, Fact], amount_minor: int | None, max_minor: int
) -> bool:
    """Only what rules or score block, of an amount (in the reference currency) that is known and small. Never a payment
    that a list spoke of, for a person put it there; and not while something was missing."""
    return (
        outcome.decision is Decision.BLOCK
        and not outcome.degraded
        and amount_minor is not None
        and amount_minor <= max_minor
        and not any(is_on and name.startswith(LIST_FACT) for name, is_on in facts.items())
    )
