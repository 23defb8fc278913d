"""The channel simulator's settlement file: its one reader and its one writer.

    channel,channel_reference,channel_key,type,amount_minor,currency,fee_minor,settled_on
    card_sim,ch_1,key_1,charge,1250,EUR,31,2026-11-23
    END,1,1250

A file is taken whole or refused whole: a half-read file is how money is lost quietly. The form is byte-stable
(fixed columns, `\\n`, UTF-8, plain integers, no quoting), so `generate(parse(f)) == f` and equal content has
equal hashes. `END` counts the lines and sums `amount_minor` over all currencies: a check total, not money.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from platform_kit.money import CURRENCIES

COLUMNS: Final = (
    "channel",
    "channel_reference",
    "channel_key",
    "type",
    "amount_minor",
    "currency",
    "fee_minor",
    "settled_on",
)
HEADER: Final = ",".join(COLUMNS)
LINES_MAX: Final = 10_000_000  # ten times the largest day that we plan for; a bigger file is a mistake
MINOR_MAX: Final = 10**15  # far above one payment (kit: 10**12), far below BIGINT, so no sum overflows

_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}")  # nothing that needs quoting
_INTEGER: Final = re.compile(
    r"0|[1-9][0-9]{0,17}"
)  # canonical: no sign, no leading zero, or bytes would not round-trip


class SettlementType(StrEnum):
    """What happened to the money, seen from the channel."""

    CHARGE = "charge"
    """The channel took money from the payer and owes it to us."""
    REFUND = "refund"
    """The channel gave money back to the payer and takes it from us."""


class FileFault(StrEnum):
    """Why a file is refused."""

    NOT_UTF8 = "not_utf8"
    BYTE_ORDER_MARK = "byte_order_mark"
    CARRIAGE_RETURN = "carriage_return"
    TRUNCATED = "truncated"
    BAD_HEADER = "bad_header"
    BAD_LINE = "bad_line"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_CURRENCY = "unknown_currency"
    OTHER_CHANNEL = "other_channel"
    OTHER_DAY = "other_day"
    UNBALANCED = "unbalanced"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One line of the file. `amount_minor` > 0 in minor units of `currency`; `type` gives the direction."""

    channel: str
    channel_reference: str
    channel_key: str
    type: SettlementType
    amount_minor: int
    currency: str
    fee_minor: int
    settled_on: date

    def __post_init__(self) -> None:
        assert 0 < self.amount_minor <= MINOR_MAX
        assert 0 <= self.fee_minor <= MINOR_MAX


@dataclass(frozen=True, slots=True)
class SettlementFile:
    """A whole, balanced file; line `i` of `lines` is line `i + 2` of the text."""

    lines: tuple[SettlementLine, ...]
    adjustments: tuple[tuple[str, int], ...] = ()
    """Fees and corrections of whole batches: currency, and minor units that the payout has more (or less) for them."""


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """Why nothing of a file was taken. `line` counts from 1; 0 means the file as a whole."""

    fault: FileFault
    line: int
    detail: str


FIRST_LINE: Final = 2  # the header is line 1


def generate(lines: Iterable[SettlementLine]) -> bytes:
    """The file of these lines, in their order: the same lines give the same bytes."""
    kept = tuple(lines)
    total = sum(line.amount_minor for line in kept)
    return "\n".join([HEADER, *map(_render, kept), f"END,{len(kept)},{total}", ""]).encode()


def parse(raw: bytes, *, channel: str, day: date) -> SettlementFile | RefusedFile:
    """Read one channel's file of one day. Refuses the whole file for the first thing wrong with it."""
    text = text_of(raw)
    if isinstance(text, RefusedFile):
        return text
    rows = text[:-1].split("\n")
    if len(rows) > LINES_MAX + 2:
        return RefusedFile(FileFault.TOO_LARGE, 0, f"The file has more than {LINES_MAX} lines.")
    if rows[0] != HEADER:
        return RefusedFile(FileFault.BAD_HEADER, 1, f"Line 1 must be: {HEADER}")
    if len(rows) < 2 or not rows[-1].startswith("END,"):
        return RefusedFile(FileFault.TRUNCATED, 0, "The last line is not an END line: the file is cut off.")
    lines: list[SettlementLine] = []
    good = _good_row(channel, day)
    for number, row in enumerate(rows[1:-1], start=FIRST_LINE):
        if (found := good(row)) and (currency := found[5]) in CURRENCIES:
            reference, key, kind, amount, _, fee = found.groups()
            lines.append(
                SettlementLine(channel, reference, key, _TYPES[kind], int(amount), currency, int(fee), day)
            )
            continue
        line = _line(row, number, channel, day)
        if isinstance(line, RefusedFile):
            return line
        lines.append(line)
    return _balanced(tuple(lines), rows[-1], len(rows))


def _render(line: SettlementLine) -> str:
    return (
        f"{line.channel},{line.channel_reference},{line.channel_key},{line.type},"
        f"{line.amount_minor},{line.currency},{line.fee_minor},{line.settled_on.isoformat()}"
    )


def text_of(raw: bytes) -> str | RefusedFile:
    """The text of a file of any layout: UTF-8 without a mark, lines that end with \\n, the last one too."""
    if raw.startswith(b"\xef\xbb\xbf"):
        return RefusedFile(FileFault.BYTE_ORDER_MARK, 1, "The file starts with a byte-order mark.")
    if b"\r" in raw:
        number = raw[: raw.index(b"\r")].count(b"\n") + 1
        return RefusedFile(FileFault.CARRIAGE_RETURN, number, "Lines end with \\n, not \\r\\n.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return RefusedFile(FileFault.NOT_UTF8, raw[: error.start].count(b"\n") + 1, "The file is not UTF-8.")
    if not text.endswith("\n"):
        return RefusedFile(FileFault.TRUNCATED, 0, "The file does not end with a line end: it is cut off.")
    return text


def _line(row: str, number: int, channel: str, day: date) -> SettlementLine | RefusedFile:
    fields = row.split(",")
    if len(fields) != len(COLUMNS):
        return RefusedFile(
            FileFault.BAD_LINE, number, f"There are {len(fields)} fields instead of {len(COLUMNS)}."
        )
    owner, reference, key, kind, amount, currency, fee, settled_on = fields
    if owner != channel:
        return RefusedFile(FileFault.OTHER_CHANNEL, number, f"The line is not of channel {channel}.")
    if settled_on != day.isoformat():
        return RefusedFile(FileFault.OTHER_DAY, number, f"settled_on is not {day.isoformat()}.")
    if kind not in _TYPES:
        return RefusedFile(FileFault.UNKNOWN_TYPE, number, "type is neither charge nor refund.")
    if currency not in CURRENCIES:
        return RefusedFile(FileFault.UNKNOWN_CURRENCY, number, "currency is not an active ISO 4217 code.")
    if not (_TOKEN.fullmatch(reference) and _TOKEN.fullmatch(key)):
        return RefusedFile(FileFault.BAD_LINE, number, "A reference is empty, too long or needs quoting.")
    if not (_INTEGER.fullmatch(amount) and _INTEGER.fullmatch(fee)):
        return RefusedFile(FileFault.BAD_LINE, number, "An amount is not a plain non-negative integer.")
    if not 0 < int(amount) <= MINOR_MAX or int(fee) > MINOR_MAX:
        return RefusedFile(FileFault.BAD_LINE, number, "An amount is zero or too large.")
    return SettlementLine(owner, reference, key, _TYPES[kind], int(amount), currency, int(fee), day)


def _good_row(channel: str, day: date) -> Callable[[str], re.Match[str] | None]:
    """Tells at a glance the rows that nothing is wrong with, nearly all of a million; `_line` has the last word on all
    others, and the words for what is wrong. At most 15 digits, so no amount is too large."""
    token, kinds = _TOKEN.pattern, "|".join(SettlementType)
    return re.compile(
        f"{re.escape(channel)},({token}),({token}),({kinds}),([1-9][0-9]{{0,14}}),([A-Z]{{3}}),"
        f"(0|[1-9][0-9]{{0,14}}),{day.isoformat()}"
    ).fullmatch


_TYPES: Final = {kind.value: kind for kind in SettlementType}


def _balanced(lines: tuple[SettlementLine, ...], trailer: str, number: int) -> SettlementFile | RefusedFile:
    stated = trailer.split(",")
    if len(stated) != 3 or not all(_INTEGER.fullmatch(part) for part in stated[1:]):
        return RefusedFile(
            FileFault.BAD_LINE, number, "The END line must be: END,<count>,<sum of amount_minor>"
        )
    count, total = int(stated[1]), int(stated[2])
    if count != len(lines):
        return RefusedFile(
            FileFault.UNBALANCED, number, f"END states {count} lines, the file has {len(lines)}."
        )
    if total != (found := sum(line.amount_minor for line in lines)):
        return RefusedFile(
            FileFault.UNBALANCED, number, f"END states a sum of {total}, the lines sum to {found}."
        )
    return SettlementFile(lines)
