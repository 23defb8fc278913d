"""The settlement file: what a channel owes for one UTC day, line by line, less its fees; flat, or in the five sections
of a batch layout.

Made from the journal alone, so the same day gives the same bytes whenever it is asked for (once the day is over).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from payment_gateway.clients.simulators.book import Book
from platform_kit.money import exponent, plain_minor

HEADER: Final = "channel,channel_reference,channel_key,type,amount_minor,currency,fee_minor,settled_on"


@dataclass(frozen=True, slots=True)
class FeePlan:
    """What a channel takes for a charge."""

    basis_points: int
    fixed_minor: Mapping[int, int]
    """Decimals of the currency -> fixed part in its minor units."""

    def fee_minor(self, amount_minor: int, currency: str) -> int:
        """A share, rounded half up, and the fixed part."""
        share = (amount_minor * self.basis_points + 5_000) // 10_000
        return share + self.fixed_minor[exponent(currency)]


BATCH_LAYOUT: Final = frozenset({"card_sim_2"})
"""Channels whose files are in the batch layout."""


def settlement_file(book: Book, fees: FeePlan, day: str) -> bytes:
    """The channel's file of a day (YYYY-MM-DD), in the layout that it has."""
    return (batch_file if book.channel in BATCH_LAYOUT else flat_file)(book, fees, day)


def batch_file(book: Book, fees: FeePlan, day: str) -> bytes:
    """Header with counts, transactions gross and net with the parts of their fee, no batch fees, no corrections,
    payouts by currency."""
    rows, net_by_currency = [], dict[str, int]()
    for raw in _money_lines(book, day):
        line = orjson.loads(raw)
        charged, currency = int(line.get("charged_minor", 0)), str(line["currency"])
        gross = charged or -int(line["refunded_minor"])
        fee = fees.fee_minor(charged, currency) if charged else 0
        net_by_currency[currency] = net_by_currency.get(currency, 0) + gross - fee
        scheme, interchange, commission = fee // 5, fee // 2, fee // 5
        parts = (fee - scheme - interchange - commission, scheme, interchange, commission)
        kind = "Settled" if charged else "Refunded"
        names = ["TX", kind, str(line["channel_reference"]), str(line["key"])]
        sides = [currency, *_sides(gross, currency), currency, *_sides(gross - fee, currency), "1"]
        shown = [plain_minor(abs(part), currency) for part in parts]
        rows.append(",".join([*names, *sides, *shown, _batch(book, day, currency)]))
    payouts = [
        ",".join(["PAY", "MerchantPayout", currency, *_sides(-net, currency), _batch(book, day, currency)])
        for currency, net in sorted(net_by_currency.items())
        if net
    ]
    head = f"HDR,batch/1,{book.channel},{day},{len(rows)},0,0,{len(payouts)}"
    return ("\n".join([head, *rows, *payouts]) + "\n").encode()


def _batch(book: Book, day: str, currency: str) -> str:
    return f"{book.channel}-{day.replace('-', '')}-{currency}"


def _sides(minor: int, currency: str) -> tuple[str, str]:
    """Debit and credit: one of them is empty."""
    shown = plain_minor(abs(minor), currency)
    return (shown, "") if minor < 0 else ("", shown)


def flat_file(book: Book, fees: FeePlan, day: str) -> bytes:
    """The file of a day (YYYY-MM-DD): one line per charge and refund in the order in which they happened."""
    lines = [_line(book, fees, orjson.loads(raw), day) for raw in _money_lines(book, day)]
    total = sum(amount for amount, _ in lines)
    rows = [HEADER, *(row for _, row in lines), f"END,{len(lines)},{total}"]
    return ("\n".join(rows) + "\n").encode()


def _money_lines(book: Book, day: str) -> Iterable[bytes]:
    for seq in book.money_lines(day):
        yield from book.journal.read(seq - 1, 1)


def _line(book: Book, fees: FeePlan, line: dict[str, object], day: str) -> tuple[int, str]:
    charged, currency = int(str(line.get("charged_minor", 0))), str(line["currency"])
    amount = charged or int(str(line["refunded_minor"]))
    kind, fee = (
        ("charge", fees.fee_minor(amount, currency)) if charged else ("refund", 0)
    )  # a refund costs nothing
    row = f"{book.channel},{line['channel_reference']},{line['key']},{kind},{amount},{currency},{fee},{day}"
    return amount, row
