"""From the ids that Stripe's clients send (`pi_…`, `re_…`, `ch_…`) to ours."""

from __future__ import annotations

from typing import Final

from platform_kit.problems import NotFound

_NATIVE: Final = {"pi": "pay", "re": "rf", "ch": "pay", "txn": "je"}
"""Stripe's prefix -> ours. A charge is the read side of the payment that it belongs to."""


def native_id(prefix: str, given: str) -> str:
    """The native id behind `given`, which must start with `prefix`. Raises NotFound for any other text."""
    head, _, tail = given.partition("_")
    if head != prefix or not tail:
        raise NotFound(f"No such {_NOUNS.get(prefix, 'object')}: these ids begin with {prefix}_.")
    return f"{_NATIVE.get(prefix, prefix)}_{tail}"


_NOUNS: Final = {
    "pi": "payment_intent",
    "re": "refund",
    "ch": "charge",
    "evt": "event",
    "cus": "customer",
    "pm": "payment_method",
    "seti": "setup_intent",
    "dp": "dispute",
    "po": "payout",
    "txn": "balance_transaction",
    "we": "webhook endpoint",
}
