"""The settlement file: what a channel owes for one UTC day, line by line, less its fees.

Made from the journal alone, so the same day gives the same bytes whenever it is asked for (once the day is over).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from payment_gateway.clients.simulators.book import Book
from platform_kit.money import exponent

HEADER: Final = "channel,channel_reference,channel_key,type,amount_minor,currency,fee_minor,settled_on"
FEE_BASIS_POINTS: Final = 140  # 1.4 %, a usual price for European consumer cards
FIXED_FEE_MINOR: Final = {0: 30, 2: 25, 3: 100}
"""Decimals of the currency -> fixed fee in its minor units: 30 yen, 25 cents, 0.100 dinar."""


def settlement_file(book: Book, day: str) -> bytes:
    """The file of a day (YYYY-MM-DD): one line per charge and refund in the order in which they happened."""
    lines = [_line(book, orjson.loads(raw), day) for raw in _money_lines(book, day)]
    total = sum(amount for amount, _ in lines)
    rows = [HEADER, *(row for _, row in lines), f"END,{len(lines)},{total}"]
    return ("\n".join(rows) + "\n").encode()


def fee_minor(amount_minor: int, currency: str) -> int:
    """The fee of a charge: a share, rounded half up, and a fixed part."""
    return (amount_minor * FEE_BASIS_POINTS + 5_000) // 10_000 + FIXED_FEE_MINOR[exponent(currency)]


def _money_lines(book: Book, day: str) -> Iterable[bytes]:
    for seq in book.money_lines(day):
        yield from book.journal.read(seq - 1, 1)


def _line(book: Book, line: dict[str, object], day: str) -> tuple[int, str]:
    charged, currency = int(str(line.get("charged_minor", 0))), str(line["currency"])
    amount = charged or int(str(line["refunded_minor"]))
    kind, fee = (
        ("charge", fee_minor(amount, currency)) if charged else ("refund", 0)
    )  # a refund costs nothing
    row = f"{book.channel},{line['channel_reference']},{line['key']},{kind},{amount},{currency},{fee},{day}"
    return amount, row
