"""card_sim: an acquirer whose answers are scripted by the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.scripts import script_of
from platform_kit.ids import new_id
from platform_kit.problems import InvalidRequest, Problem

CHALLENGE_CODES = {"failed": "authentication_failed", "abandoned": "authentication_abandoned"}


class ChallengeClosed(Problem):
    status, code, title = 409, "challenge-closed", "This challenge is decided already"


def authorise(book: Book, key: str, body: Mapping[str, Any], fingerprint: str, base_url: str) -> Operation:
    """Hold (or with `capture` take) an amount. `challenge` asks the issuer to authenticate the payer first."""
    script = script_of(rules.text_of(body, "token", length_max=255))
    amount, captures = rules.amount_of(body), rules.flag_of(body, "capture", True)
    challenged = rules.flag_of(body, "challenge", False) and script.outcome == "succeeded"
    outcome = "action_required" if challenged else script.outcome
    reference = new_id("ch")
    fields: dict[str, Any] = {}
    if outcome == "action_required":
        fields["next_action"] = {"type": "three_ds", "url": f"{base_url}/card/challenges/{reference}"}
        fields["callback_url"] = body.get("callback_url")
    elif outcome == "succeeded" and captures:
        fields["charged_minor"] = amount
    return book.append(
        "authorisation", key, fingerprint=fingerprint, outcome=outcome, code=script.code,
        channel_reference=reference, amount_minor=amount, currency=rules.currency_of(body), capture=captures,
        **fields,
    )  # fmt: skip


def answer_challenge(book: Book, reference: str, outcome: object) -> Operation | None:
    """The payer has passed, failed or left the issuer's page; None = no such challenge. Repeating an answer is fine.

    Raises ChallengeClosed for another answer than the first, InvalidRequest for a word that is none of the three.
    """
    if outcome not in ("passed", *CHALLENGE_CODES):
        raise InvalidRequest("outcome must be passed, failed or abandoned.")
    operation = book.by_reference(reference)
    if operation is None or operation.next_action is None:
        return None
    code = CHALLENGE_CODES.get(str(outcome))
    if operation.outcome != "action_required":
        if operation.code != code:
            raise ChallengeClosed()
        return operation
    return settle(book, operation, code)


def settle(book: Book, operation: Operation, code: str | None) -> Operation:
    """Decide an authorisation that waited for the payer: refused with `code`, or done (and taken, for a sale)."""
    charged = {"charged_minor": operation.amount_minor} if code is None and operation.capture else {}
    return book.append(
        "result", operation.key, outcome="declined" if code else "succeeded", code=code,
        channel_reference=operation.reference, amount_minor=operation.amount_minor, currency=operation.currency,
        **charged,
    )  # fmt: skip
