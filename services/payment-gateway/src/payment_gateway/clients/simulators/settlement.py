"""The settlement file: what a channel owes for one UTC day, line by line, less its fees.

Made from the journal alone, so the same day gives the same bytes whenever it is asked for (once the day is over).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from payment_gateway.clients.simulators.book import Book
from platform_kit.money import exponent

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


def settlement_file(book: Book, fees: FeePlan, day: str) -> bytes:
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
