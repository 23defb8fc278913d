"""Card numbers: their check digit, their brands, and the only ones that this sandbox takes (payments.md 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final


class InvalidCard(Exception):
    """A card that is not acceptable. `code` is the slug, `member` the member of the request that is at fault."""

    def __init__(self, code: str, member: str, text: str) -> None:
        self.code, self.member, self.text = code, member, text
        super().__init__(code)  # never the number


@dataclass(frozen=True, slots=True)
class CardNumber:
    """What a channel must be told. The number stays out of every repr, so out of logs and crash reports."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class TestCard:
    """A public test number. `token` is the test token that the simulators treat alike; `refusal` is what a check
    without money finds (None: it passes), which is not always what a charge finds. `country` is the issuer's, ISO 3166
    alpha-2: of the sandbox's cards this table knows it, elsewhere a bought BIN table would."""

    __test__ = False  # not a test class

    number: str
    brand: str
    token: str
    refusal: str | None = None
    needs_action: bool = False
    funding: str = "credit"
    country: str = "US"


_TABLE: Final = (
    TestCard("4242424242424242", "visa", "tok_visa"),
    TestCard("5555555555554444", "mastercard", "tok_mastercard"),
    TestCard("378282246310005", "amex", "tok_amex"),
    TestCard("6011111111111117", "discover", "tok_discover"),
    TestCard("5105105105105100", "mastercard", "tok_mastercard_prepaid", funding="prepaid"),
    TestCard("4000000000000002", "visa", "tok_declined", "card_declined"),
    TestCard("4000000000009995", "visa", "tok_insufficient_funds", "insufficient_funds"),
    TestCard("4000000000009987", "visa", "tok_lost", "lost_card"),
    TestCard("4000000000009979", "visa", "tok_stolen", "stolen_card"),
    TestCard("4000000000000069", "visa", "tok_expired", "expired_card"),
    TestCard("4000000000000127", "visa", "tok_wrong_cvc", "incorrect_cvc"),
    TestCard("4000000000000119", "visa", "tok_processing_error", "processing_error"),
    TestCard("4000000000000341", "visa", "tok_charge_declined"),
    TestCard("4000002500003155", "visa", "tok_3ds", needs_action=True, country="FR"),
    TestCard("4000002760003184", "visa", "tok_3ds", needs_action=True, country="DE"),
    TestCard("4000003800000446", "visa", "tok_3ds", needs_action=True, country="IT"),
    TestCard("4000000000003220", "visa", "tok_3ds", needs_action=True),
    TestCard("4000008400001629", "visa", "tok_3ds_declined", needs_action=True),
    TestCard("4000008260003178", "visa", "tok_3ds_insufficient_funds", needs_action=True, country="GB"),
)
TEST_CARDS: Final[Mapping[str, TestCard]] = {card.number: card for card in _TABLE}
_BY_TOKEN: Final = {card.token: card for card in reversed(_TABLE)}  # the first one of equals is the one shown

YEARS_AHEAD_MAX: Final = 50
_DIGITS: Final = re.compile(r"[0-9]{12,19}")


def luhn_valid(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    doubled = [int(d) * 2 if i % 2 else int(d) for i, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def checked_number(text: str) -> str:
    """The digits of a number that this sandbox takes; spaces and dashes between them are dropped.

    Raises InvalidCard: `invalid-card-number` for what is no card number, `test-cards-only` for somebody's real one.
    """
    digits = re.sub(r"[ -]", "", text)
    if not _DIGITS.fullmatch(digits) or not luhn_valid(digits):
        raise InvalidCard("invalid-card-number", "number", "not a card number: its check digit is wrong")
    if digits not in TEST_CARDS:
        raise InvalidCard(
            "test-cards-only", "number", "only the public test numbers of docs/vault.md are taken"
        )
    return digits


def checked_cvc(text: str, number: str) -> None:
    """The form of a security code, which nobody keeps. Raises InvalidCard."""
    wanted = 4 if TEST_CARDS[number].brand == "amex" else 3
    if not re.fullmatch(rf"[0-9]{{{wanted}}}", text):
        raise InvalidCard("invalid-cvc", "cvc", "three digits; four on American Express")


def checked_expiry(month: int, year: int, now: datetime) -> None:
    """A card is good until the end of its month. Raises InvalidCard."""
    if not 1 <= month <= 12:
        raise InvalidCard("invalid-expiry", "exp_month", "a month from 1 to 12")
    if not (now.year, now.month) <= (year, month) <= (now.year + YEARS_AHEAD_MAX, 12):
        raise InvalidCard(
            "invalid-expiry", "exp_year", "the card has expired, or the year is not four digits"
        )


def shown_card(card: CardNumber, fingerprint: str, *, cvc_given: bool) -> dict[str, Any]:
    """What may be shown of a card: no more than its first six and last four digits (PCI DSS 3.4.1)."""
    test_card = TEST_CARDS[card.number]
    passed = "fail" if test_card.refusal == "incorrect_cvc" else "pass"
    return {
        "brand": test_card.brand,
        "bin": card.number[:6],
        "last4": card.number[-4:],
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "funding": test_card.funding,
        "country": test_card.country,
        "fingerprint": fingerprint,
        "checks": {"cvc_check": passed if cvc_given else "unchecked"},
    }


def shown_token(token: str) -> dict[str, Any]:
    """What may be shown of a test token: that of the test card which it stands for, if it stands for one."""
    test_card = card_of_token(token)
    return {
        "brand": test_card.brand if test_card else "unknown",
        "bin": test_card.number[:6] if test_card else None,
        "last4": test_card.number[-4:] if test_card else None,
        "exp_month": None,
        "exp_year": None,
        "funding": test_card.funding if test_card else "unknown",
        "country": test_card.country if test_card else None,
        "fingerprint": None,
        "checks": {"cvc_check": "unchecked"},
    }


def tokens_ending(digits: str) -> Sequence[str]:
    """The test tokens, without what a test adds to them, whose cards end with these digits."""
    return sorted(token for token, card in _BY_TOKEN.items() if card.number.endswith(digits))


def card_of_token(token: str) -> TestCard | None:
    """The test card that a test token stands for: that of its longest prefix in the table (`tok_visa_4711`: visa)."""
    stem = token
    while stem:
        if stem in _BY_TOKEN:
            return _BY_TOKEN[stem]
        stem = stem.rpartition("_")[0]
    return None
