"""SWIFT MT940, the customer statement: its one reader and its one writer.

    :20:STMT20261124EUR
    :25:PLATFORM
    :28C:328/1
    :60F:C261124EUR0,00
    :61:2611241124C532,10NTRFNONREF
    :86:card_sim-20261123-EUR
    :62F:C261124EUR532,10
    -

Lines end with \\r\\n, as SWIFT writes them. Field 61 is what was booked, field 86 after it names it. Only the form that
`generate` writes is read: one page, one reference to an entry, so `generate(parse(f)) == f`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from data_pipeline.domain.statements import (
    RefusedStatement,
    Statement,
    StatementEntry,
    StatementFault,
    checked,
    to_decimal,
    to_minor,
)
from platform_kit.money import CURRENCIES

_AMOUNT: Final = r"([0-9]{1,13}),([0-9]{0,4})"
_REFERENCE: Final = re.compile(r":20:STMT[0-9]{8}[A-Z]{3}")
_ACCOUNT: Final = re.compile(r":25:([A-Z0-9]{1,34})")
_NUMBER: Final = re.compile(r":28C:([0-9]{1,5})/1")
_BALANCE: Final = re.compile(rf":(60F|62F):([CD])([0-9]{{6}})([A-Z]{{3}}){_AMOUNT}")
_ENTRY: Final = re.compile(rf":61:([0-9]{{6}})([0-9]{{4}})([CD]){_AMOUNT}NTRFNONREF")
_NAME: Final = re.compile(r":86:([A-Za-z0-9][A-Za-z0-9_.-]{0,63})")


def generate(statement: Statement) -> bytes:
    """The same statement gives the same bytes."""
    day, currency = statement.booked_on, statement.currency
    lines = [
        f":20:STMT{day:%Y%m%d}{currency}",
        f":25:{statement.account}",
        f":28C:{statement.number}/1",
        f":60F:{_balance(statement.opening_minor, day, currency)}",
    ]
    for entry in statement.entries:
        lines.append(f":61:{day:%y%m%d}{day:%m%d}{_signed(entry.amount_minor, currency)}NTRFNONREF")
        lines.append(f":86:{entry.reference}")
    lines += [f":62F:{_balance(statement.closing_minor, day, currency)}", "-", ""]
    return "\r\n".join(lines).encode()


def parse(raw: bytes) -> Statement | RefusedStatement:
    """Read one statement, whole or not at all."""
    try:
        rows = raw.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return RefusedStatement(StatementFault.NOT_UTF8, "MT940 has ASCII characters alone.")
    if len(rows) < 7 or rows[-2:] != ["-", ""] or not _REFERENCE.fullmatch(rows[0]):
        return _bad("It does not begin with :20: and end with a line of its own with -.")
    account, number = _ACCOUNT.fullmatch(rows[1]), _NUMBER.fullmatch(rows[2])
    opening, closing = _BALANCE.fullmatch(rows[3]), _BALANCE.fullmatch(rows[-3])
    if not (account and number and opening and closing) or (opening[1], closing[1]) != ("60F", "62F"):
        return _bad("Fields :25:, :28C:, :60F: or :62F: are not where they belong.")
    currency, day = opening[4], _day(opening[3])
    if currency not in CURRENCIES:
        return RefusedStatement(StatementFault.UNKNOWN_CURRENCY, f"{currency} is no active ISO 4217 code.")
    if day is None or (closing[3], closing[4]) != (opening[3], currency):
        return _bad("Both balances are of one day and one currency.")
    if rows[0] != f":20:STMT{day:%Y%m%d}{currency}":
        return _bad("Field :20: names another day or currency.")
    entries = _entries(rows[4:-3], day, currency)
    balances = [_minor(one[2], one[5], one[6], currency) for one in (opening, closing)]
    if isinstance(entries, RefusedStatement) or None in balances:
        return entries if isinstance(entries, RefusedStatement) else _bad("A balance has wrong decimals.")
    read = Statement(
        account[1], int(number[1]), currency, day, int(balances[0] or 0), int(balances[1] or 0), entries
    )
    return checked(read) if generate(read) == raw else _bad("A number is not in its shortest form.")


def _entries(rows: list[str], day: date, currency: str) -> tuple[StatementEntry, ...] | RefusedStatement:
    if len(rows) % 2:
        return _bad("Each :61: is followed by one :86:.")
    entries = []
    for booked, named in zip(rows[::2], rows[1::2], strict=True):
        entry, name = _ENTRY.fullmatch(booked), _NAME.fullmatch(named)
        if not entry or not name:
            return _bad("An entry is not of the form :61: and :86:.")
        if (entry[1], entry[2]) != (f"{day:%y%m%d}", f"{day:%m%d}"):
            return RefusedStatement(StatementFault.OTHER_DAY, "An entry is of another day.")
        minor = _minor(entry[3], entry[4], entry[5], currency)
        if not minor:
            return _bad("An amount is zero, or has not the decimals of the currency.")
        entries.append(StatementEntry(minor, name[1]))
    return tuple(entries)


def _balance(minor: int, day: date, currency: str) -> str:
    sign, amount = ("C" if minor >= 0 else "D"), to_decimal(minor, currency).replace(".", ",")
    return f"{sign}{day:%y%m%d}{currency}{amount if ',' in amount else amount + ','}"


def _signed(minor: int, currency: str) -> str:
    amount = to_decimal(minor, currency).replace(".", ",")
    return ("C" if minor > 0 else "D") + (amount if "," in amount else amount + ",")


def _minor(mark: str, whole: str, fraction: str, currency: str) -> int | None:
    minor = to_minor(whole, fraction, currency)
    return minor if minor is None or mark == "C" else -minor


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _bad(detail: str) -> RefusedStatement:
    return RefusedStatement(StatementFault.BAD_FORM, detail)
