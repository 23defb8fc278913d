"""What a token does at the simulated acquirer. The table is the contract; docs/channels.md shows it to users."""

from __future__ import annotations

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


SCRIPTS: Final = {
    "tok_visa": Script(),
    "tok_mastercard": Script(),
    "tok_declined": Script("declined", "card_declined"),
    "tok_insufficient_funds": Script("declined", "insufficient_funds"),
    "tok_expired": Script("declined", "expired_card"),
    "tok_lost": Script("declined", "lost_card"),
    "tok_stolen": Script("declined", "stolen_card"),
    "tok_3ds": Script("action_required"),
    "tok_timeout": Script(fault=Fault.HANG_AFTER),
    "tok_dropped": Script(fault=Fault.HANG_BEFORE),
    "tok_reset": Script(fault=Fault.RESET_AFTER),
    "tok_slow": Script(fault=Fault.SLOW),
    "tok_error": Script(fault=Fault.UNAVAILABLE),
}
"""Prefix of a token -> what happens. The whole token is the card's identity: `tok_visa_4711` is another card."""

UNKNOWN_TOKEN: Final = Script("declined", "invalid_card")


def script_of(token: str) -> Script:
    """The script of the longest prefix that ends where the token ends or at an underscore."""
    stem = token
    while stem:
        if found := SCRIPTS.get(stem):
            return found
        stem = stem.rpartition("_")[0]
    return UNKNOWN_TOKEN
