"""2026-11-26: payments are confirmed later, cancelled, disputed and described, and tell fees and surcharges; refunds
have metadata.

Before, each payment was charged as it was made, and one that was given up was `voided`, whether or not money was held.
"""

from __future__ import annotations

from typing import Any, Final

# A program of before knows the words on the right. What waits for its confirmation is, to it, not decided yet.
STATUS_BEFORE: Final = {
    "cancelled": "voided",
    "requires_confirmation": "processing",
    "requires_payment_method": "processing",
}
NEW_OF_PAYMENT: Final = frozenset(
    {"disputed_minor", "statement_descriptor", "surcharge_minor", "fee_minor", "fee_returned_minor"}
)
# `failure_code` came later, and only this shape is closed to what is new.
NEW_OF_REFUND: Final = frozenset({"metadata", "surcharge_minor", "fee_returned_minor", "failure_code"})


def payment_before(shown: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in shown.items() if name not in NEW_OF_PAYMENT}
    status = kept["status"]
    return kept | {"status": STATUS_BEFORE.get(status, status)}


def refund_before(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in NEW_OF_REFUND}


STEP_BACK: Final = {"payment": payment_before, "refund": refund_before}
