"""card_sim and card_sim_2: acquirers whose answers are scripted by the token, the card number or the amount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.clients.simulators.scripts import Script, reported, script_of
from payment_gateway.domain.cards import TEST_CARDS
from platform_kit.ids import new_id
from platform_kit.problems import InvalidRequest, Problem

CHALLENGE_CODES = {"failed": "authentication_failed", "abandoned": "authentication_abandoned"}
TIMED_OUT = "authentication_timed_out"


class ChallengeClosed(Problem):
    status, code, title = 409, "challenge-closed", "This challenge is decided already"


def redacted(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with a token in place of a card number: `tok_visa_4242`. Nothing behind this sees the number, neither
    the journal nor the fingerprint of the request. Raises InvalidRequest for a card that is none."""
    if "card" not in body:
        return body
    card = body["card"]
    number = card.get("number") if isinstance(card, dict) else None
    if not isinstance(number, str) or not number.isdecimal() or not 12 <= len(number) <= 19:
        raise InvalidRequest("card must be {number, exp_month, exp_year}.")
    expiry = f"{card.get('exp_month')}/{card.get('exp_year')}"[:16]
    known = TEST_CARDS.get(number)
    stem = known.token if known else "tok_no_such_card"
    others = {name: value for name, value in body.items() if name != "card"}
    return {**others, "token": f"{stem}_{number[-4:]}", "expiry": expiry}


def script_for(question: rules.Question) -> Script:
    body = question.body
    return script_of(str(body.get("token")), body.get("amount_minor"), question.fault)


def authorise(
    book: Book, question: rules.Question, script: Script, base_url: str, callback_url: str
) -> Operation:
    """Hold (or with `capture` take) an amount. `challenge` asks the issuer to authenticate the payer first."""
    body = question.body
    token = rules.text_of(body, "token", length_max=255)
    amount, captures = rules.amount_of(body), rules.flag_of(body, "capture", True)
    challenged = (
        rules.flag_of(body, "challenge", False)
        and script.outcome == "succeeded"
        and not script.is_frictionless
    )
    outcome = "action_required" if challenged else script.outcome
    reference = new_id("ch")
    # Kept whether the payer must act or not: a dispute may be told there later.
    fields: dict[str, Any] = {"callback_url": rules.callback_of(body, callback_url)}
    if outcome == "action_required":
        fields["next_action"] = {"type": "three_ds", "url": f"{base_url}/challenges/{reference}"}
    elif outcome == "succeeded" and captures:
        fields["charged_minor"] = amount
    return book.append(
        "authorisation", question.key, fingerprint=question.fingerprint, outcome=outcome, code=script.code,
        channel_reference=reference, amount_minor=amount, currency=rules.currency_of(body), capture=captures,
        token=token, fault=reported(script, question.fault), **rules.descriptor_of(body), **fields,
    )  # fmt: skip


def answer_challenge(book: Book, operation: Operation, outcome: object) -> bool:
    """The payer has passed, failed or left the issuer's page; False = said so before, nothing changes.

    Raises ChallengeClosed for another answer than the first, InvalidRequest for a word that is none of the three.
    """
    if outcome not in ("passed", *CHALLENGE_CODES):
        raise InvalidRequest("outcome must be passed, failed or abandoned.")
    code = CHALLENGE_CODES.get(str(outcome)) or script_of(str(operation.token)).then
    if operation.outcome == "action_required":
        rules.settle(book, operation, code)
        return True
    if operation.code != code:
        raise ChallengeClosed()
    return False


def decided_after_s(operation: Operation, delays: Delays) -> float:
    """When a challenge that nobody has answered ends, in seconds from the request."""
    ends_itself = script_of(str(operation.token)).by_itself
    return rules.spread_s(operation.key, delays) if ends_itself else delays.challenge_s


def code_of(operation: Operation) -> str | None:
    """What that end is called."""
    return script_of(str(operation.token)).by_itself or TIMED_OUT
