"""A bank statement as the matcher sees it, whatever form it came in: one account, one currency, one day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from platform_kit.money import exponent, plain_minor

ENTRIES_MAX: Final = 100_000
BATCH: Final = r"[a-z0-9_]{1,40}-[0-9]{8}-[A-Z]{3}"
"""What names a payout on both sides: channel, day and currency."""


class StatementFault(StrEnum):
    """Why a statement is refused."""

    NOT_UTF8 = "not_utf8"
    BAD_FORM = "bad_form"
    UNKNOWN_CURRENCY = "unknown_currency"
    OTHER_CURRENCY = "other_currency"
    OTHER_DAY = "other_day"
    OTHER_ACCOUNT = "other_account"
    UNBALANCED = "unbalanced"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One booking, in minor units of the statement's currency: above zero we got it, below we paid it."""

    amount_minor: int
    reference: str

    def __post_init__(self) -> None:
        assert self.amount_minor != 0


@dataclass(frozen=True, slots=True)
class Statement:
    """`opening_minor` and all entries make `closing_minor`; the number counts the account's statements."""

    account: str
    number: int
    currency: str
    booked_on: date
    opening_minor: int
    closing_minor: int
    entries: tuple[StatementEntry, ...]


@dataclass(frozen=True, slots=True)
class RefusedStatement:
    """Why nothing of a statement was taken."""

    fault: StatementFault
    detail: str


def checked(statement: Statement) -> Statement | RefusedStatement:
    """The control total of every statement: opening balance and entries make the closing balance."""
    if len(statement.entries) > ENTRIES_MAX:
        return RefusedStatement(
            StatementFault.TOO_LARGE, f"The statement has more than {ENTRIES_MAX} entries."
        )
    reached = statement.opening_minor + sum(entry.amount_minor for entry in statement.entries)
    if reached != statement.closing_minor:
        return RefusedStatement(
            StatementFault.UNBALANCED,
            f"Opening balance and entries make {reached}, the closing balance is {statement.closing_minor}.",
        )
    return statement


def as_asked(
    read: Statement | RefusedStatement, *, currency: str, booked_on: date, account: str
) -> Statement | RefusedStatement:
    """The statement, if it is the one that was asked for: nothing of another is. An empty `account` is any."""
    if isinstance(read, RefusedStatement):
        return read
    if account and read.account != account:
        return RefusedStatement(
            StatementFault.OTHER_ACCOUNT, f"It is of the account {read.account}, not of {account}."
        )
    if read.currency != currency:
        return RefusedStatement(StatementFault.OTHER_CURRENCY, f"It is in {read.currency}.")
    if read.booked_on != booked_on:
        return RefusedStatement(StatementFault.OTHER_DAY, f"It is of {read.booked_on}.")
    return read


def to_decimal(amount_minor: int, currency: str) -> str:
    """The amount without its sign, with the decimals of the currency and a point: 1250 EUR is `12.50`."""
    return plain_minor(abs(amount_minor), currency)


def to_minor(whole: str, fraction: str, currency: str) -> int | None:
    """Minor units of an amount in two parts; None when its decimals are not the currency's."""
    return int(whole + fraction) if len(fraction) == exponent(currency) else None
