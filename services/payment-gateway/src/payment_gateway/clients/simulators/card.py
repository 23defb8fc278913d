"""card_sim: an acquirer whose answers are scripted by the token."""

from __future__ import annotations

from typing import Any

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.scripts import script_of
from platform_kit.ids import new_id
from platform_kit.problems import InvalidRequest, Problem

CHALLENGE_CODES = {"failed": "authentication_failed", "abandoned": "authentication_abandoned"}


class ChallengeClosed(Problem):
    status, code, title = 409, "challenge-closed", "This challenge is decided already"


def authorise(book: Book, question: rules.Question, base_url: str, callback_url: str) -> Operation:
    """Hold (or with `capture` take) an amount. `challenge` asks the issuer to authenticate the payer first."""
    body = question.body
    script = script_of(rules.text_of(body, "token", length_max=255))
    amount, captures = rules.amount_of(body), rules.flag_of(body, "capture", True)
    challenged = rules.flag_of(body, "challenge", False) and script.outcome == "succeeded"
    outcome = "action_required" if challenged else script.outcome
    reference = new_id("ch")
    fields: dict[str, Any] = {}
    if outcome == "action_required":
        fields["next_action"] = {"type": "three_ds", "url": f"{base_url}/card/challenges/{reference}"}
        fields["callback_url"] = rules.callback_of(body, callback_url)
    elif outcome == "succeeded" and captures:
        fields["charged_minor"] = amount
    return book.append(
        "authorisation", question.key, fingerprint=question.fingerprint, outcome=outcome, code=script.code,
        channel_reference=reference, amount_minor=amount, currency=rules.currency_of(body), capture=captures,
        token=body["token"], **fields,
    )  # fmt: skip


def answer_challenge(book: Book, operation: Operation, outcome: object) -> bool:
    """The payer has passed, failed or left the issuer's page; False = said so before, nothing changes.

    Raises ChallengeClosed for another answer than the first, InvalidRequest for a word that is none of the three.
    """
    if outcome not in ("passed", *CHALLENGE_CODES):
        raise InvalidRequest("outcome must be passed, failed or abandoned.")
    code = CHALLENGE_CODES.get(str(outcome)) or script_of(operation.token or "").code_after_action
    if operation.outcome == "action_required":
        settle(book, operation, code)
        return True
    if operation.code != code:
        raise ChallengeClosed()
    return False


def settle(book: Book, operation: Operation, code: str | None) -> Operation:
    """Decide an authorisation that waited for the payer: refused with `code`, or done (and taken, for a sale)."""
    charged = {"charged_minor": operation.amount_minor} if code is None and operation.capture else {}
    return book.append(
        "result", operation.key, outcome="declined" if code else "succeeded", code=code,
        channel_reference=operation.reference, amount_minor=operation.amount_minor, currency=operation.currency,
        **charged,
    )  # fmt: skip
