"""Card numbers where they must not be: in any text that a client sends, its idempotency key included (PCI DSS 3.x)."""

from __future__ import annotations

import re
import unicodedata

from starlette.requests import Request

from payment_gateway.domain.cards import luhn_valid
from platform_kit.idempotency import key_of
from platform_kit.problems import Problem

_CARD_NUMBER = re.compile(r"(?:\d[ -]?){12,18}\d")
_MANY_DIGITS = re.compile(r"\d{13}")  # the shortest card number; the risk engine draws the same line
# One UUID in 450 has a run of digits that passes Luhn's check by chance.
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class CardDataNotAllowed(Problem):
    status, code, title = 422, "card-data-not-allowed", "Card numbers are not accepted here"


def holds_card_number(text: str) -> bool:
    """Whether `text` has 13 to 19 digits, spaced, dashed or full-width, that pass Luhn's check."""
    folded = _UUID.sub(" ", unicodedata.normalize("NFKC", text))
    return any(luhn_valid(re.sub(r"\D", "", match.group())) for match in _CARD_NUMBER.finditer(folded))


def has_many_digits(text: str) -> bool:
    """Whether `text` has as many digits in a row as the shortest card number."""
    return _MANY_DIGITS.search(text) is not None


def idempotency_key_of(request: Request) -> str:
    """The request's idempotency key. Raises KeyMissing, KeyInvalid or CardDataNotAllowed."""
    key = key_of(request.headers)
    if holds_card_number(key):
        raise CardDataNotAllowed("Choose an Idempotency-Key that is no card number.")
    return key
