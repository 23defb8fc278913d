"""What a token, a card number, an amount or a `Sandbox-Fault` does at the simulated acquirers. These tables are the
contract; docs/channels.md shows them to users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """How an answer, or the report of a result, goes wrong. The values are the words of `Sandbox-Fault`."""

    HANG_AFTER = "charge-then-hang"  # done and journaled, the answer never comes
    HANG_BEFORE = "hang"  # nothing is done, the answer never comes
    RESET_AFTER = "charge-then-drop"  # done and journaled, then the connection is reset
    RESET_BEFORE = "reset"  # nothing is done, the connection is reset
    SLOW = "slow"  # done, answered late
    ERROR = "5xx"  # nothing is done, 500 without a word about it
    UNAVAILABLE = "unavailable"  # 503, stated as not processed
    DUPLICATE_CALLBACKS = "duplicate-callbacks"  # every report comes twice
    SHUFFLED_CALLBACKS = "shuffled-callbacks"  # an outdated report comes after the final one


@dataclass(frozen=True, slots=True)
class Script:
    """The outcome of an authorisation. `code` is the decline code."""

    outcome: str = "succeeded"
    code: str | None = None
    fault: Fault | None = None
    then: str | None = None
    """Of a challenge: the code with which it is refused although the payer has passed."""
    by_itself: str | None = None
    """Of a challenge: the code with which it ends after a while, whatever anybody does."""
    is_frictionless: bool = False
    """The issuer knows the payer: a challenge that is asked for passes without one."""


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
    "tok_3ds_frictionless": Script(is_frictionless=True),
    "tok_3ds_declined": Script("action_required", then="card_declined"),
    "tok_3ds_insufficient_funds": Script("action_required", then="insufficient_funds"),
    "tok_3ds_abandoned": Script("action_required", by_itself="authentication_abandoned"),
    "tok_3ds_timeout": Script("action_required", by_itself="authentication_timed_out"),
    "tok_timeout": Script(fault=Fault.HANG_AFTER),
    "tok_dropped": Script(fault=Fault.HANG_BEFORE),
    "tok_reset": Script(fault=Fault.RESET_AFTER),
    "tok_slow": Script(fault=Fault.SLOW),
    "tok_error": Script(fault=Fault.UNAVAILABLE),
    "tok_reset_before": Script(fault=Fault.RESET_BEFORE),
    "tok_5xx": Script(fault=Fault.ERROR),
    "tok_duplicate_callbacks": Script("action_required", fault=Fault.DUPLICATE_CALLBACKS),
    "tok_shuffled_callbacks": Script("action_required", fault=Fault.SHUFFLED_CALLBACKS),
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
    "tok_dispute": ("disputes", Script()),  # what its bank does is scripted in disputes.py
}
"""Prefix of a token that authorises as tok_visa does -> what goes wrong with what is done to it later."""

AMOUNTS: Final = {
    9_966_601: Script("declined", "card_declined"),
    9_966_602: Script("declined", "insufficient_funds"),
    9_966_603: Script(fault=Fault.HANG_BEFORE),
    9_966_604: Script(fault=Fault.RESET_AFTER),
    9_966_605: Script(fault=Fault.SLOW),
    9_966_606: Script(fault=Fault.ERROR),
    9_966_607: Script(fault=Fault.UNAVAILABLE),
    9_966_608: Script(fault=Fault.RESET_BEFORE),
    9_966_609: Script(fault=Fault.HANG_AFTER),
    9_966_610: Script("action_required", fault=Fault.DUPLICATE_CALLBACKS),
    9_966_611: Script("action_required", fault=Fault.SHUFFLED_CALLBACKS),
}
"""Amount in minor units -> what happens to a card that would otherwise be good. A report comes only of what the payer
must do first. Of a wallet or a bank, whose payers always must, the faults alone count."""

OF_REPORTS: Final = frozenset({Fault.DUPLICATE_CALLBACKS, Fault.SHUFFLED_CALLBACKS})

ACTS: Final = {"capture": "captures", "void": "voids", "refund": "refunds"}
"""`Sandbox-Fault: refund:hang` goes wrong at the refund, not at the authorisation."""

PLAIN: Final = Script()


def script_of(token: str, amount_minor: object = None, fault: str | None = None) -> Script:
    """The script of an authorisation: the token's, or for a plain good card the amount's, with the fault on top."""
    stem = _stem(token)
    script = UNKNOWN_TOKEN if stem is None else SCRIPTS.get(stem, PLAIN)
    if script == PLAIN and type(amount_minor) is int:
        script = AMOUNTS.get(amount_minor, PLAIN)
    return replace(script, fault=fault_of(fault, None) or script.fault)


def fault_by_amount(amount_minor: object) -> str | None:
    """The word of the fault that an amount orders."""
    script = AMOUNTS.get(amount_minor, PLAIN) if type(amount_minor) is int else PLAIN
    return script.fault


def reported(script: Script, fault: str | None) -> str | None:
    """What is kept with an authorisation of `fault`, as ordered, or of how its script has the result reported."""
    return fault or (script.fault if script.fault in OF_REPORTS else None)


def later_script(token: str | None, act: str, fault: str | None = None) -> Script:
    """The script of what is done (captures, voids, refunds) to an authorisation of `token`."""
    stem = _stem(token or "")
    wanted, script = LATER.get(stem or "", ("", PLAIN))
    script = script if wanted == act else PLAIN
    return replace(script, fault=fault_of(fault, act) or script.fault)


def fault_of(words: str | None, act: str | None) -> Fault | None:
    """The fault that `words` ("hang", "refund:hang") order for an authorisation (`act` None) or a later act."""
    if not words:
        return None
    before, colon, after = words.partition(":")
    if (ACTS.get(before) if colon else None) != act:
        return None
    name = after if colon else before
    return Fault(name) if name in Fault.__members__.values() else None


def _stem(token: str) -> str | None:
    """The longest known prefix that ends where the token ends or at an underscore."""
    stem = token
    while stem:
        if stem in SCRIPTS or stem in LATER:
            return stem
        stem = stem.rpartition("_")[0]
    return None
