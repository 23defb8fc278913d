"""What an operator may do to a payment, and what exactly moves when it is done."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from platform_kit.money import format_minor


class PaymentAct(StrEnum):
    """Each is an act of the gateway."""

    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


HELD = frozenset({"authorised", "partially_captured"})


def remaining_minor(payment: dict[str, Any], act: PaymentAct) -> int:
    """How much the act may move at most, in minor units, as far as the warehouse knows; 0 when it makes no sense."""
    if act is PaymentAct.REFUND:
        return int(payment["captured_minor"] - payment["refunded_minor"])
    if payment["status"] not in HELD:
        return 0
    return int(payment["authorised_minor"] - payment["captured_minor"])


def movement_of(payment: dict[str, Any], act: PaymentAct, amount_minor: int) -> list[str]:
    """The movement in sentences: whose money goes where, and what stands afterwards."""
    currency = payment["currency"]

    def told(minor: int) -> str:
        return f"{format_minor(minor, currency)} {currency}"

    merchant, channel = f"merchant …{payment['merchant_id'][-6:]}", payment["channel"]
    left = remaining_minor(payment, act) - amount_minor
    if act is PaymentAct.REFUND:
        after = payment["refunded_minor"] + amount_minor
        return [
            f"{told(amount_minor)} is taken from the balance of {merchant} and sent back to the payer over {channel}.",
            f"Refunded afterwards: {told(after)} of {told(payment['captured_minor'])}; {told(left)} remains.",
            "A refund cannot be taken back.",
        ]
    if act is PaymentAct.CAPTURE:
        return [
            f"{told(amount_minor)} of what is held is charged to the payer over {channel} and credited to {merchant}, "
            "less fees.",
            f"Held afterwards: {told(left)}.",
        ]
    return [
        f"The hold of {told(amount_minor)} at {channel} is given up: the payer is not charged this amount.",
        "It cannot be captured afterwards.",
    ]
