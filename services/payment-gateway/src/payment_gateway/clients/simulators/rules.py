"""What both simulated channels decide alike: reading a request, keys, voids, refunds, captures, closing a question.

Limits are kept here on the channel's own count, whatever its client believes (captured <= authorised, refunded <=
captured). Deciding, writing and applying happen in one step of the loop, so no two requests see the same remainder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from payment_gateway.clients.simulators.book import Book, Operation
from platform_kit.ids import new_id
from platform_kit.money import AMOUNT_MAX, CURRENCIES
from platform_kit.problems import InvalidRequest, Problem

KEY_LENGTH_MAX = 255


class KeyConflict(Problem):
    status, code, title = 409, "key-conflict", "This key was used with another request"


def fingerprint_of(path: str, body: Mapping[str, Any]) -> str:
    """Tells one request from another under the same key."""
    raw = path.encode() + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
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


def capture(book: Book, key: str, body: Mapping[str, Any], fingerprint: str) -> Operation:
    """Take (a part of) a hold; several parts are possible."""
    amount = amount_of(body)
    authorisation = book.authorisation(text_of(body, "original"))
    code = _refusal(authorisation, body)
    if authorisation and not code:
        if not authorisation.is_hold:
            code = "not_capturable"
        elif amount > authorisation.amount_minor - authorisation.captured_minor:
            code = "amount_exceeds_authorised"
    moved = {} if code else {"charged_minor": amount}
    return _follow_up(book, "capture", key, body, fingerprint, authorisation, code, moved)


def void(book: Book, key: str, body: Mapping[str, Any], fingerprint: str) -> Operation:
    """Give up what is held and not captured, or an action that the payer has not taken."""
    amount_of(body, least=0)  # echoed, not used: a void gives up all that is left
    authorisation = book.authorisation(text_of(body, "original"))
    code = _refusal(authorisation, body)
    if (
        authorisation
        and not code
        and not (authorisation.is_hold or authorisation.outcome == "action_required")
    ):
        code = "already_voided" if authorisation.is_voided else "not_voidable"
    return _follow_up(book, "void", key, body, fingerprint, authorisation, code, {})


def refund(book: Book, key: str, body: Mapping[str, Any], fingerprint: str) -> Operation:
    """Give captured money back, in one or several parts."""
    amount = amount_of(body)
    authorisation = book.authorisation(text_of(body, "original"))
    code = _refusal(authorisation, body)
    if authorisation and not code and amount > authorisation.captured_minor - authorisation.refunded_minor:
        code = "amount_exceeds_captured"
    moved = {} if code else {"refunded_minor": amount}
    return _follow_up(book, "refund", key, body, fingerprint, authorisation, code, moved)


def close(book: Book, key: str) -> Operation:
    """What a key did; a key that did nothing never will: a request that is still on its way finds a tombstone."""
    return book.get(key) or book.append(
        "tombstone", key, fingerprint="", outcome="not_processed", code="closed", channel_reference=None,
        amount_minor=0, currency="XXX",
    )  # fmt: skip


def _refusal(authorisation: Operation | None, body: Mapping[str, Any]) -> str | None:
    if authorisation is None:
        return "unknown_original"
    return "currency_mismatch" if authorisation.currency != currency_of(body) else None


def _follow_up(
    book: Book,
    type: str,
    key: str,
    body: Mapping[str, Any],
    fingerprint: str,
    authorisation: Operation | None,
    code: str | None,
    moved: Mapping[str, int],
) -> Operation:
    return book.append(
        type,
        key,
        fingerprint=fingerprint,
        original=authorisation.key if authorisation else None,
        outcome="declined" if code else "succeeded",
        code=code,
        channel_reference=new_id({"capture": "cp", "void": "vd", "refund": "rf"}[type]),
        amount_minor=body["amount_minor"],
        currency=currency_of(body),
        **moved,
    )
