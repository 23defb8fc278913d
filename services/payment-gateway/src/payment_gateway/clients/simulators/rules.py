"""What all simulated channels decide alike: keys, captures, voids, refunds, closing a question.

Limits are kept here on the channel's own count, whatever its client believes (captured <= authorised, refunded <=
captured). Deciding, writing and applying happen in one step of the loop, so no two requests see the same remainder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.clients.simulators.scripts import Script
from payment_gateway.domain.statement_descriptor import is_statement_descriptor
from platform_kit.ids import new_id
from platform_kit.money import AMOUNT_MAX, CURRENCIES
from platform_kit.problems import InvalidRequest, Problem

KEY_LENGTH_MAX = 255
REFERENCES = {"capture": "cp", "void": "vd", "refund": "rf"}


class Question(Protocol):
    """A request that may move money, as far as a decision looks at it."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def fault(self) -> str | None: ...


class KeyConflict(Problem):
    status, code, title = 409, "key-conflict", "This key was used with another request"


def fingerprint_of(path: str, body: Mapping[str, Any]) -> str:
    """Tells one request from another under the same key. Where the result is told does not make it another."""
    asked = {name: value for name, value in body.items() if name != "callback_url"}
    raw = path.encode() + orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def known(book: Book, key: str, fingerprint: str) -> Operation | None:
    """What this key did before. A closed key answers everybody; raises KeyConflict for another body."""
    found = book.get(key)
    if found and found.type != "tombstone" and found.fingerprint != fingerprint:
        raise KeyConflict()
    return found


def checked_key(value: str | None) -> str:
    if not value or len(value) > KEY_LENGTH_MAX or not (value.isascii() and value.isprintable()):
        raise InvalidRequest("Send an Idempotency-Key of 1 to 255 printable ASCII characters.")
    return value


def amount_of(body: Mapping[str, Any], *, least: int = 1) -> int:
    amount = body.get("amount_minor")
    if type(amount) is not int or not least <= amount <= AMOUNT_MAX:
        raise InvalidRequest("amount_minor must be a positive integer of minor units.")
    return amount


def currency_of(body: Mapping[str, Any]) -> str:
    currency = body.get("currency")
    if not isinstance(currency, str) or currency not in CURRENCIES:
        raise InvalidRequest("currency must be an active ISO 4217 code.")
    return currency


def flag_of(body: Mapping[str, Any], name: str, default: bool) -> bool:
    value = body.get(name, default)
    if type(value) is not bool:
        raise InvalidRequest(f"{name} must be true or false.")
    return value


def text_of(body: Mapping[str, Any], name: str, *, length_max: int = 2048) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= length_max:
        raise InvalidRequest(f"{name} must be a text of 1 to {length_max} characters.")
    return value


def descriptor_of(body: Mapping[str, Any]) -> dict[str, str]:
    """What the payer's statement will say, as a member of the journal's line; nothing where nothing was sent."""
    if "statement_descriptor" not in body:
        return {}
    text = body["statement_descriptor"]
    if not isinstance(text, str) or not is_statement_descriptor(text):
        raise InvalidRequest("statement_descriptor cannot be shown on a statement.")
    return {"statement_descriptor": text}


def callback_of(body: Mapping[str, Any], default: str) -> str:
    return text_of(body, "callback_url") if "callback_url" in body else default


def left_to_payer(
    book: Book,
    question: Question,
    *,
    provider: str,
    reference: str,
    refusal: str | None,
    action: Mapping[str, Any],
    callback_url: str,
) -> Operation:
    """A sale that its payer ends by `action`, unless it is refused at once: nothing is held meanwhile."""
    if refusal:
        fields: dict[str, Any] = {"outcome": "declined", "code": refusal}
    else:
        told_at = callback_of(question.body, callback_url)
        fields = {"outcome": "action_required", "code": None, "callback_url": told_at, "next_action": action}
    return book.append(
        "authorisation", question.key, fingerprint=question.fingerprint, channel_reference=reference,
        amount_minor=amount_of(question.body), currency=currency_of(question.body), capture=True, provider=provider,
        fault=question.fault, **descriptor_of(question.body), **fields,
    )  # fmt: skip


def capture(book: Book, question: Question, script: Script) -> Operation:
    """Take (a part of) a hold; several parts are possible until one is `final`, which gives up the rest."""
    amount = amount_of(question.body)
    final = {"final": True} if flag_of(question.body, "final", False) else {}
    original = _original(book, question)

    def refusal(authorisation: Operation) -> str | None:
        if not authorisation.is_hold:
            return "not_capturable"
        left = authorisation.amount_minor - authorisation.captured_minor
        return "amount_exceeds_authorised" if amount > left else None

    return _follow_up(book, "capture", question, script, original, refusal, charged_minor=amount, **final)


def void(book: Book, question: Question, script: Script) -> Operation:
    """Give up what is held and not captured, or an action that the payer has not taken."""
    amount_of(question.body, least=0)  # echoed, not used: a void gives up all that is left
    original = _original(book, question)

    def refusal(authorisation: Operation) -> str | None:
        if authorisation.is_hold or authorisation.outcome == "action_required":
            return None
        return "already_voided" if authorisation.is_voided else "not_voidable"

    return _follow_up(book, "void", question, script, original, refusal)


def refund(book: Book, question: Question, script: Script) -> Operation:
    """Give captured money back, in one or several parts."""
    amount = amount_of(question.body)
    original = _original(book, question)

    def refusal(authorisation: Operation) -> str | None:
        left = authorisation.captured_minor - authorisation.refunded_minor
        return "amount_exceeds_captured" if amount > left else None

    return _follow_up(book, "refund", question, script, original, refusal, refunded_minor=amount)


def settle(book: Book, operation: Operation, code: str | None) -> Operation:
    """Decide an authorisation that waited for the payer: refused with `code`, or done (and taken, for a sale)."""
    charged = {"charged_minor": operation.amount_minor} if code is None and operation.capture else {}
    return book.append(
        "result", operation.key, outcome="declined" if code else "succeeded", code=code,
        channel_reference=operation.reference, amount_minor=operation.amount_minor, currency=operation.currency,
        **charged,
    )  # fmt: skip


def spread_s(key: str, delays: Delays) -> float:
    """How long a payer takes, in seconds: the same for the same key, spread evenly."""
    share = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") / 2**32
    return delays.decide_least_s + (delays.decide_most_s - delays.decide_least_s) * share


def close(book: Book, key: str) -> Operation:
    """What a key did; a key that did nothing never will: a request that is still on its way finds a tombstone."""
    return book.get(key) or book.append(
        "tombstone", key, fingerprint="", outcome="not_processed", code="closed", channel_reference=None,
        amount_minor=0, currency="XXX",
    )  # fmt: skip


def _original(book: Book, question: Question) -> Operation | None:
    return book.authorisation(text_of(question.body, "original"))


def _follow_up(
    book: Book,
    type: str,
    question: Question,
    script: Script,
    original: Operation | None,
    refusal: Callable[[Operation], str | None],
    **moved: int,
) -> Operation:
    """Write what is done to an authorisation, or why it is not."""
    currency = currency_of(question.body)
    if original is None:
        code: str | None = "unknown_original"
    elif original.currency != currency:
        code = "currency_mismatch"
    else:
        code = refusal(original) or script.code
    return book.append(
        type,
        question.key,
        fingerprint=question.fingerprint,
        original=original.key if original else None,
        outcome="declined" if code else "succeeded",
        code=code,
        channel_reference=new_id(REFERENCES[type]),
        amount_minor=question.body["amount_minor"],
        currency=currency,
        **({} if code else moved),
    )
