"""What a verdict has done to a payment, as far as the gateway told. Pure: no clock, no store."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from risk_engine.domain.cases import Verdict


class PaymentStatus(StrEnum):
    """How a payment of a case stands at the gateway, as far as its events told."""

    UNKNOWN = "unknown"  # nothing heard yet
    HELD = "held"
    CAPTURED = "captured"
    GIVEN_UP = "given_up"  # voided or cancelled
    EXPIRED = "expired"
    REFUSED = "refused"  # by the channel, or failed: there was no money


ENDED: Final = frozenset({PaymentStatus.GIVEN_UP, PaymentStatus.EXPIRED, PaymentStatus.REFUSED})
"""Nothing can be taken or given up any more."""

_NOTHING: Final = ("nothing_to_do", "The payment ended without money; the decision counts as a label only.")
_EFFECTS: Final[Mapping[tuple[Verdict, PaymentStatus], tuple[str, str]]] = MappingProxyType(
    {
        (Verdict.APPROVE, PaymentStatus.CAPTURED): ("captured", "The money was taken."),
        (Verdict.APPROVE, PaymentStatus.GIVEN_UP): (
            "too_late",
            "The merchant gave the hold up: nothing was taken.",
        ),
        (Verdict.APPROVE, PaymentStatus.EXPIRED): ("too_late", "The hold had run out: nothing was taken."),
        (Verdict.APPROVE, PaymentStatus.REFUSED): _NOTHING,
        (Verdict.REJECT, PaymentStatus.GIVEN_UP): ("given_up", "The hold was given up: nothing was taken."),
        (Verdict.REJECT, PaymentStatus.EXPIRED): ("given_up", "The hold ran out: nothing was taken."),
        (Verdict.REJECT, PaymentStatus.REFUSED): _NOTHING,
        (Verdict.REJECT, PaymentStatus.CAPTURED): (
            "refund_by_hand",
            "The money is taken already, and nothing is refunded by itself: the merchant is to refund it.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a verdict has done to a payment: a stable code, and a sentence for people."""

    code: str
    text: str


def effect_of(verdict: Verdict | None, status: PaymentStatus, *, is_manual: bool = False) -> Effect | None:
    """None while nothing is decided. A payment that its merchant captures by hand is left to them when approved."""
    if verdict is None:
        return None
    if verdict is Verdict.APPROVE and is_manual and status in (PaymentStatus.HELD, PaymentStatus.UNKNOWN):
        return Effect("left_to_merchant", "The merchant captures this payment by hand and may do so now.")
    found = _EFFECTS.get((verdict, status))
    return Effect(*found) if found else Effect("pending", "The gateway has not said yet what came of it.")
