"""What a token does at the simulated acquirer. The table is the contract; docs/channels.md shows it to users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """How an answer goes wrong."""

    HANG_AFTER = "hang_after"  # done and journaled, the answer never comes
    HANG_BEFORE = "hang_before"  # nothing is done, the answer never comes
    RESET_AFTER = "reset_after"  # done and journaled, then the connection is reset
    SLOW = "slow"  # done, answered late
    UNAVAILABLE = "unavailable"  # 503, stated as not processed


@dataclass(frozen=True, slots=True)
class Script:
    """The outcome of an authorisation. `code` is the decline code."""

    outcome: str = "succeeded"
    code: str | None = None
    fault: Fault | None = None
    code_after_action: str | None = None
    """Why it is declined although the payer has authenticated."""


SCRIPTS: Final = {
    "tok_visa": Script(),
    "tok_mastercard": Script(),
    "tok_amex": Script(),
    "tok_discover": Script(),
    "tok_declined": Script("declined", "card_declined"),
    "tok_insufficient_funds": Script("declined", "insufficient_funds"),
    "tok_expired": Script("declined", "expired_card"),
    "tok_lost": Script("declined", "lost_card"),
    "tok_stolen": Script("declined", "stolen_card"),
    "tok_wrong_cvc": Script("declined", "incorrect_cvc"),
    "tok_processing_error": Script("declined", "processing_error"),
    "tok_charge_declined": Script("declined", "card_declined"),  # after it was saved without complaint
    "tok_3ds": Script("action_required"),
    "tok_3ds_declined": Script("action_required", code_after_action="card_declined"),
    "tok_3ds_insufficient_funds": Script("action_required", code_after_action="insufficient_funds"),
    "tok_timeout": Script(fault=Fault.HANG_AFTER),
    "tok_dropped": Script(fault=Fault.HANG_BEFORE),
    "tok_reset": Script(fault=Fault.RESET_AFTER),
    "tok_slow": Script(fault=Fault.SLOW),
    "tok_error": Script(fault=Fault.UNAVAILABLE),
}
"""Prefix of a token -> what happens. The whole token is the card's identity: `tok_visa_4711` is another card."""

UNKNOWN_TOKEN: Final = Script("declined", "invalid_card")

LATER: Final[Mapping[str, tuple[str, Script]]] = {
    "tok_capture_timeout": ("captures", Script(fault=Fault.HANG_AFTER)),
    "tok_capture_declined": ("captures", Script("declined", "capture_declined")),
    "tok_void_timeout": ("voids", Script(fault=Fault.HANG_AFTER)),
    "tok_refund_timeout": ("refunds", Script(fault=Fault.HANG_AFTER)),
    "tok_refund_dropped": ("refunds", Script(fault=Fault.HANG_BEFORE)),
    "tok_refund_declined": ("refunds", Script("declined", "refund_declined")),
}
"""Prefix of a token that authorises as tok_visa does -> what goes wrong with what is done to it later."""

PLAIN: Final = Script()


def script_of(token: str) -> Script:
    """The script of an authorisation."""
    stem = _stem(token)
    if stem is None:
        return UNKNOWN_TOKEN
    return SCRIPTS.get(stem, PLAIN)


def later_script(token: str | None, act: str) -> Script:
    """The script of what is done (captures, voids, refunds) to an authorisation of `token`."""
    stem = _stem(token or "")
    wanted, script = LATER.get(stem or "", ("", PLAIN))
    return script if wanted == act else PLAIN


def _stem(token: str) -> str | None:
    """The longest known prefix that ends where the token ends or at an underscore."""
    stem = token
    while stem:
        if stem in SCRIPTS or stem in LATER:
            return stem
        stem = stem.rpartition("_")[0]
    return None
