"""The five-section batch layout of a settlement file, after Adyen's settlement details: its one reader and one writer.

    HDR,batch/1,card_sim_2,2026-11-23,1,1,0,1
    TX,Settled,ch_1,att_1,EUR,,12.50,EUR,,11.86,1,0.07,0.12,0.32,0.13,card_sim_2-20261123-EUR
    FEE,Fee,EUR,0.86,,card_sim_2-20261123-EUR
    COR,...
    PAY,MerchantPayout,EUR,11.00,,card_sim_2-20261123-EUR

Sections stand in this order: header (with the number of rows of each other one), transactions (gross and net as debit
or credit, seen from us; exchange rate; markup, scheme fee, interchange, commission), fees of the batch, corrections,
payout. Gross less the four fees is net; net, fees and corrections of a batch come to its payout. Amounts have the
decimals of their currency. Taken whole or refused whole, and `generate(parse(f)) == f`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from data_pipeline.domain.settlement import (
    LINES_MAX,
    MINOR_MAX,
    FileFault,
    RefusedFile,
    SettlementFile,
    SettlementLine,
    SettlementType,
    text_of,
)
from data_pipeline.domain.statements import to_decimal, to_minor
from platform_kit.money import CURRENCIES

MAGIC: Final = "batch/1"
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}")
_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,7}")
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,4}))?")


class JournalType(StrEnum):
    """What a row is. Settled, refunded and chargeback are transactions; the rest is of the batch."""

    SETTLED = "Settled"
    REFUNDED = "Refunded"
    CHARGEBACK = "Chargeback"
    FEE = "Fee"
    INVOICE_DEDUCTION = "InvoiceDeduction"
    DEPOSIT_CORRECTION = "DepositCorrection"
    MERCHANT_PAYOUT = "MerchantPayout"


_TRANSACTIONS: Final = {
    JournalType.SETTLED: SettlementType.CHARGE,
    JournalType.REFUNDED: SettlementType.REFUND,
    JournalType.CHARGEBACK: SettlementType.REFUND,
}
_SECTIONS: Final = {
    "FEE": (JournalType.FEE,),
    "COR": (JournalType.INVOICE_DEDUCTION, JournalType.DEPOSIT_CORRECTION),
    "PAY": (JournalType.MERCHANT_PAYOUT,),
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """Minor units of `currency`. Gross is above zero, the type gives its direction; fees are what the channel keeps."""

    type: JournalType
    channel_reference: str
    channel_key: str
    currency: str
    gross_minor: int
    markup_minor: int = 0
    scheme_fee_minor: int = 0
    interchange_minor: int = 0
    commission_minor: int = 0

    @property
    def fee_minor(self) -> int:
        return self.markup_minor + self.scheme_fee_minor + self.interchange_minor + self.commission_minor

    @property
    def net_minor(self) -> int:
        """Seen from us: below zero the channel takes it."""
        gross = self.gross_minor if _TRANSACTIONS[self.type] is SettlementType.CHARGE else -self.gross_minor
        return gross - self.fee_minor


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A fee, correction or payout of a whole batch; below zero the channel takes it, a payout out of what it owes."""

    type: JournalType
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A whole, balanced file. Transaction `i` is line `i + 2` of the text, as in the other layout."""

    channel: str
    settled_on: date
    transactions: tuple[Transaction, ...]
    fees: tuple[BatchRow, ...] = ()
    corrections: tuple[BatchRow, ...] = ()
    payouts: tuple[BatchRow, ...] = ()


def paid_out(file: BatchFile) -> tuple[BatchRow, ...]:
    """The payouts that net a file's rows, by currency; what comes to nothing has none."""
    sums: Counter[str] = Counter()
    for one in file.transactions:
        sums[one.currency] += one.net_minor
    for row in (*file.fees, *file.corrections):
        sums[row.currency] += row.amount_minor
    return tuple(
        BatchRow(JournalType.MERCHANT_PAYOUT, currency, -sums[currency])
        for currency in sorted(sums)
        if sums[currency]
    )


def generate(file: BatchFile) -> bytes:
    """The same file gives the same bytes."""
    counts = [len(part) for part in (file.transactions, file.fees, file.corrections, file.payouts)]
    head = ["HDR", MAGIC, file.channel, file.settled_on.isoformat(), *map(str, counts)]
    rows = [",".join(head)]
    rows += [_transaction_row(file, one) for one in file.transactions]
    for section, part in (("FEE", file.fees), ("COR", file.corrections), ("PAY", file.payouts)):
        rows += [
            ",".join(
                [section, row.type, row.currency, *_sides(row.amount_minor, row.currency), _batch(file, row)]
            )
            for row in part
        ]
    return "\n".join([*rows, ""]).encode()


def parse(raw: bytes, *, channel: str, day: date) -> BatchFile | RefusedFile:
    """Read one channel's file of one day. Refuses the whole file for the first thing wrong with it."""
    text = text_of(raw)
    if isinstance(text, RefusedFile):
        return text
    rows = [row.split(",") for row in text[:-1].split("\n")]
    head = rows[0]
    if len(head) != 8 or head[:2] != ["HDR", MAGIC] or not all(_COUNT.fullmatch(one) for one in head[4:]):
        return RefusedFile(
            FileFault.BAD_HEADER, 1, "Line 1 must be: HDR,batch/1,<channel>,<day> and four counts"
        )
    if head[2] != channel:
        return RefusedFile(FileFault.OTHER_CHANNEL, 1, f"The file is not of channel {channel}.")
    if head[3] != day.isoformat():
        return RefusedFile(FileFault.OTHER_DAY, 1, f"The file is not of {day.isoformat()}.")
    counts = [int(one) for one in head[4:]]
    if sum(counts) > LINES_MAX:
        return RefusedFile(FileFault.TOO_LARGE, 0, f"The file has more than {LINES_MAX} lines.")
    if len(rows) != 1 + sum(counts):
        return RefusedFile(
            FileFault.TRUNCATED, 0, f"The header states {sum(counts)} rows, the file has {len(rows) - 1}."
        )
    read = _sections(rows[1:], counts, channel, day)
    if isinstance(read, RefusedFile):
        return read
    if read.payouts != paid_out(read):
        return RefusedFile(
            FileFault.UNBALANCED, 0, "Transactions, fees and corrections do not net to the payouts."
        )
    return (
        read if generate(read) == raw else RefusedFile(FileFault.BAD_LINE, 0, "A row is not in its one form.")
    )


def journal(file: BatchFile) -> SettlementFile:
    """What the matcher reads of any layout: one line per transaction, its fees in one sum."""
    return SettlementFile(
        tuple(
            SettlementLine(
                file.channel,
                one.channel_reference,
                one.channel_key,
                _TRANSACTIONS[one.type],
                one.gross_minor,
                one.currency,
                one.fee_minor,
                file.settled_on,
            )
            for one in file.transactions
        ),
        tuple((row.currency, row.amount_minor) for row in (*file.fees, *file.corrections)),
    )


def _transaction_row(file: BatchFile, one: Transaction) -> str:
    gross = one.gross_minor if _TRANSACTIONS[one.type] is SettlementType.CHARGE else -one.gross_minor
    fees = (one.markup_minor, one.scheme_fee_minor, one.interchange_minor, one.commission_minor)
    return ",".join(
        [
            "TX", one.type, one.channel_reference, one.channel_key,
            one.currency, *_sides(gross, one.currency),
            one.currency, *_sides(one.net_minor, one.currency), "1",
            *(to_decimal(fee, one.currency) for fee in fees), _batch(file, one),
        ]
    )  # fmt: skip


def _batch(file: BatchFile, row: Transaction | BatchRow) -> str:
    return f"{file.channel}-{file.settled_on:%Y%m%d}-{row.currency}"


def _sides(minor: int, currency: str) -> tuple[str, str]:
    """Debit and credit: one of them is empty."""
    shown = to_decimal(minor, currency)
    return (shown, "") if minor < 0 else ("", shown)


def _sections(
    rows: Sequence[list[str]], counts: list[int], channel: str, day: date
) -> BatchFile | RefusedFile:
    transactions: list[Transaction] = []
    parts: dict[str, list[BatchRow]] = {section: [] for section in _SECTIONS}
    for number, (section, row) in enumerate(zip(_expected(counts), rows, strict=True), start=2):
        read: Transaction | BatchRow | FileFault
        if row[0] != section:
            read = FileFault.BAD_LINE
        elif section == "TX":
            read = _transaction(row)
        else:
            read = _batch_row(row, _SECTIONS[section])
        if isinstance(read, FileFault):
            return RefusedFile(read, number, f"This is no row of the section {section}.")
        if isinstance(read, Transaction):
            transactions.append(read)
        else:
            parts[section].append(read)
    fees, corrections, payouts = (tuple(parts[section]) for section in _SECTIONS)
    return BatchFile(channel, day, tuple(transactions), fees, corrections, payouts)


def _expected(counts: Iterable[int]) -> Iterator[str]:
    for section, count in zip(("TX", *_SECTIONS), counts, strict=True):
        yield from (section for _ in range(count))


def _transaction(row: list[str]) -> Transaction | FileFault:
    if len(row) != 16 or not (_TOKEN.fullmatch(row[2]) and _TOKEN.fullmatch(row[3])):
        return FileFault.BAD_LINE
    if row[1] not in _TRANSACTIONS:
        return FileFault.UNKNOWN_TYPE
    if row[4] not in CURRENCIES:
        return FileFault.UNKNOWN_CURRENCY
    gross = _signed(row[5], row[6], row[4])
    fees = [_plain(one, row[4]) for one in row[11:15]]
    if not gross or None in fees or sum(fee or 0 for fee in fees) > MINOR_MAX:
        return FileFault.BAD_LINE
    if (gross > 0) is not (_TRANSACTIONS[JournalType(row[1])] is SettlementType.CHARGE):
        return FileFault.BAD_LINE
    return Transaction(JournalType(row[1]), row[2], row[3], row[4], abs(gross), *(fee or 0 for fee in fees))


def _batch_row(row: list[str], types: Iterable[JournalType]) -> BatchRow | FileFault:
    if len(row) != 6:
        return FileFault.BAD_LINE
    if row[1] not in tuple(map(str, types)):
        return FileFault.UNKNOWN_TYPE
    if row[2] not in CURRENCIES:
        return FileFault.UNKNOWN_CURRENCY
    minor = _signed(row[3], row[4], row[2])
    return BatchRow(JournalType(row[1]), row[2], minor) if minor else FileFault.BAD_LINE


def _signed(debit: str, credit: str, currency: str) -> int | None:
    """None unless exactly one side has an amount."""
    if bool(debit) is bool(credit):
        return None
    minor = _plain(debit or credit, currency)
    return -minor if debit and minor is not None else minor


def _plain(text: str, currency: str) -> int | None:
    found = _AMOUNT.fullmatch(text)
    minor = to_minor(found[1], found[2] or "", currency) if found else None
    return minor if minor is not None and minor <= MINOR_MAX else None
