"""Control totals of a day: both sides added up as they stand, before any matching. Currencies never mix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_pipeline.domain.matching import LedgerLine
from data_pipeline.domain.settlement import SettlementLine, SettlementType


@dataclass(frozen=True, slots=True)
class DayTotal:
    """One type and currency; amounts in its minor units. Fees are the channel's statement, not booked by us."""

    type: SettlementType
    currency: str
    ledger_count: int = 0
    ledger_minor: int = 0
    file_count: int = 0
    file_minor: int = 0
    fee_minor: int = 0

    def plus(self, other: DayTotal) -> DayTotal:
        return DayTotal(
            self.type,
            self.currency,
            self.ledger_count + other.ledger_count,
            self.ledger_minor + other.ledger_minor,
            self.file_count + other.file_count,
            self.file_minor + other.file_minor,
            self.fee_minor + other.fee_minor,
        )


def day_totals(ledger: Iterable[LedgerLine], file: Iterable[SettlementLine]) -> list[DayTotal]:
    """By type and currency, in that order."""
    sums: dict[tuple[SettlementType, str], DayTotal] = {}
    for line in (*_booked(ledger), *_stated(file)):
        key = (line.type, line.currency)
        sums[key] = sums[key].plus(line) if key in sums else line
    return [sums[key] for key in sorted(sums)]


def _booked(ledger: Iterable[LedgerLine]) -> Iterator[DayTotal]:
    return (DayTotal(o.type, o.currency, ledger_count=1, ledger_minor=o.amount_minor) for o in ledger)


def _stated(file: Iterable[SettlementLine]) -> Iterator[DayTotal]:
    return (
        DayTotal(o.type, o.currency, file_count=1, file_minor=o.amount_minor, fee_minor=o.fee_minor)
        for o in file
    )
