"""The books: what a transfer adds to its two accounts, by hour, day, month and in all, and how accounts are grouped.

A balance is credits less debits, as in the gateway's ledger: what a merchant is owed is positive, what a channel owes
us negative. A hold counts apart: it may become money, and is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from data_pipeline.domain.facts import MOVES_MONEY
from data_pipeline.domain.rollups import Grain, bucket_start

PLACES_HOLD: Final = "pending"
FROM_HOLD: Final = frozenset({"post", "release", "void"})  # each takes from what was set aside before
OWN_LEDGER: Final = "ledger"  # accounts that merchants open for themselves, under names of their own

ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The one bucket of what an account has had in all."""


class Period(StrEnum):
    """Length of a bucket of an account. Buckets start at UTC hours, days and months."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    ALL = "all"


class Moved(NamedTuple):
    """One line of a journal, as stored; `amount_minor` > 0 goes from `debit` to `credit`."""

    debit: str
    credit: str
    amount_minor: int
    currency: str
    kind: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class AccountBucket:
    """A row of the roll-up."""

    account: str
    currency: str
    period: Period
    bucket_at: datetime


@dataclass(frozen=True, slots=True)
class Turnover:
    """Minor units of the bucket's currency. `held` grows with a hold and falls when it is posted or given back."""

    debits_minor: int = 0
    credits_minor: int = 0
    debits_held_minor: int = 0
    credits_held_minor: int = 0
    entry_count: int = 0


_MEASURES: Final = len(fields(Turnover))
_Key = tuple[str, str, Period, datetime]


def turnover_of(lines: Iterable[Moved]) -> Mapping[AccountBucket, Turnover]:
    """What these lines add to each bucket of their accounts; a line is one entry on either side."""
    # Plain lists inside: this runs for every event.
    added: defaultdict[_Key, list[int]] = defaultdict(lambda: [0] * _MEASURES)
    for debit, credit, amount, currency, kind, at in lines:
        moved, held = moved_and_held(kind, amount)
        buckets = (
            (Period.HOUR, bucket_start(at, Grain.HOUR)),
            (Period.DAY, day := bucket_start(at, Grain.DAY)),
            (Period.MONTH, day.replace(day=1)),
            (Period.ALL, ALWAYS),
        )
        for account, side in ((debit, 0), (credit, 1)):
            for period, bucket_at in buckets:
                row = added[account, currency, period, bucket_at]
                row[side] += moved
                row[side + 2] += held
                row[4] += 1
    return {AccountBucket(*key): Turnover(*row) for key, row in sorted(added.items())}


def month_start(at: datetime) -> datetime:
    """The start of the UTC month that holds `at`."""
    return bucket_start(at, Grain.DAY).replace(day=1)


def moved_and_held(kind: str, amount_minor: int) -> tuple[int, int]:
    """What a line of this kind moves, and by how much it changes what is set aside."""
    moved = amount_minor if kind in MOVES_MONEY else 0
    held = amount_minor if kind == PLACES_HOLD else -amount_minor if kind in FROM_HOLD else 0
    return moved, held


@dataclass(frozen=True, slots=True)
class TrialLine:
    """Accounts of one class and currency. Either side adds up the accounts that stand on it: they are not netted."""

    account_class: str
    currency: str
    account_count: int
    debit_minor: int
    credit_minor: int
    held_minor: int


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """One currency. Debit balances equal credit balances, or the books are wrong."""

    currency: str
    lines: tuple[TrialLine, ...]

    @property
    def debit_minor(self) -> int:
        return sum(line.debit_minor for line in self.lines)

    @property
    def credit_minor(self) -> int:
        return sum(line.credit_minor for line in self.lines)

    @property
    def difference_minor(self) -> int:
        return self.debit_minor - self.credit_minor

    @property
    def account_count(self) -> int:
        return sum(line.account_count for line in self.lines)


def trial_balances(rows: Iterable[Mapping[str, Any]]) -> list[TrialBalance]:
    """By currency, those with the most accounts first; lines as they come."""
    by_currency: defaultdict[str, list[TrialLine]] = defaultdict(list)
    for row in rows:
        line = TrialLine(**row)
        by_currency[line.currency].append(line)
    found = [TrialBalance(currency, tuple(lines)) for currency, lines in by_currency.items()]
    return sorted(found, key=lambda one: (-one.account_count, one.currency))


def running(entries: Iterable[Mapping[str, Any]], account: str, closing_minor: int) -> list[dict[str, Any]]:
    """An account's entries, newest first, each with its side, and the balance after it; `closing_minor` is that after
    the first of them."""
    told, balance = [], closing_minor
    for entry in entries:
        is_debit = entry["debit"] == account
        told.append(
            {
                **entry,
                "is_debit": is_debit,
                "other": entry["credit"] if is_debit else entry["debit"],
                "balance_minor": balance,
            }
        )
        moved, _ = moved_and_held(entry["kind"], entry["amount_minor"])
        balance += moved if is_debit else -moved
    return told
