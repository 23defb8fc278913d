"""Pair the lines of two sides: what our ledger booked at a channel, and what the channel's file says.

The strongest rule goes first, and equal amounts go before unequal ones: otherwise a doubled line with a
wrong amount could take the place of the right one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from data_pipeline.domain.settlement import SettlementLine, SettlementType


class MatchRule(StrEnum):
    """Which members made two lines a pair; the type is always one of them."""

    REFERENCE_AND_KEY = "reference_and_key"
    KEY = "key"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What one journal booked at the channel. `amount_minor` > 0; `type` gives the direction."""

    journal_id: str
    channel_reference: str | None
    channel_key: str | None
    type: SettlementType
    amount_minor: int
    currency: str
    occurred_at: datetime
    payment_id: str = ""


@dataclass(frozen=True, slots=True)
class FileLine:
    """A line of a stored file and where it stands there (evidence)."""

    number: int
    line: SettlementLine


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lines that speak of one operation, in agreement or not."""

    ledger: LedgerLine
    file: FileLine
    rule: MatchRule


@dataclass(frozen=True, slots=True)
class Pairing:
    """Every line of both sides, once: in a pair or left over."""

    pairs: tuple[Pair, ...]
    ledger_left: tuple[LedgerLine, ...]
    file_left: tuple[FileLine, ...]


def pair_lines(ledger: Iterable[LedgerLine], file: Iterable[FileLine]) -> Pairing:
    """Pair by each rule in turn. The outcome does not depend on the order of the inputs."""
    pairs: list[Pair] = []
    ledger_left, file_left = sorted(ledger, key=_ledger_order), sorted(file, key=_file_order)
    for rule, ledger_key, file_key in _STEPS:
        ledger_left, file_left = _pair(pairs, rule, ledger_left, file_left, ledger_key, file_key)
    return Pairing(tuple(pairs), tuple(ledger_left), tuple(file_left))


def _pair(
    pairs: list[Pair],
    rule: MatchRule,
    ledger: list[LedgerLine],
    file: list[FileLine],
    ledger_key: Callable[[LedgerLine], Hashable],
    file_key: Callable[[FileLine], Hashable],
) -> tuple[list[LedgerLine], list[FileLine]]:
    """One rule over what is left; a key of None pairs with nothing."""
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index, line in enumerate(file):
        waiting[file_key(line)].append(index)
    taken: set[int] = set()
    left: list[LedgerLine] = []
    for booked in ledger:
        key = ledger_key(booked)
        queue = waiting.get(key) if key is not None else None
        if queue:
            taken.add(index := queue.popleft())
            pairs.append(Pair(booked, file[index], rule))
        else:
            left.append(booked)
    return left, [line for index, line in enumerate(file) if index not in taken]


def _ledger_both(line: LedgerLine) -> Hashable:
    both = line.channel_reference is not None and line.channel_key is not None
    return (line.type, line.channel_reference, line.channel_key) if both else None


def _file_both(line: FileLine) -> Hashable:
    return line.line.type, line.line.channel_reference, line.line.channel_key


def _ledger_by_key(line: LedgerLine) -> Hashable:
    return None if line.channel_key is None else (line.type, line.channel_key)


def _file_by_key(line: FileLine) -> Hashable:
    return line.line.type, line.line.channel_key


def _ledger_by_reference(line: LedgerLine) -> Hashable:
    return None if line.channel_reference is None else (line.type, line.channel_reference)


def _file_by_reference(line: FileLine) -> Hashable:
    return line.line.type, line.line.channel_reference


def _ledger_by_reference_alone(line: LedgerLine) -> Hashable:
    """Two keys that differ are two operations of one charge (captures in parts), not a wrong amount."""
    return _ledger_by_reference(line) if line.channel_key is None else None


def _with_money(
    ledger_key: Callable[[LedgerLine], Hashable], file_key: Callable[[FileLine], Hashable]
) -> tuple[Callable[[LedgerLine], Hashable], Callable[[FileLine], Hashable]]:
    def of_ledger(line: LedgerLine) -> Hashable:
        key = ledger_key(line)
        return None if key is None else (key, line.amount_minor, line.currency)

    def of_file(line: FileLine) -> Hashable:
        return file_key(line), line.line.amount_minor, line.line.currency

    return of_ledger, of_file


_STEPS: Final = (
    (MatchRule.REFERENCE_AND_KEY, *_with_money(_ledger_both, _file_both)),
    (MatchRule.KEY, *_with_money(_ledger_by_key, _file_by_key)),
    (MatchRule.REFERENCE, *_with_money(_ledger_by_reference, _file_by_reference)),
    (MatchRule.REFERENCE_AND_KEY, _ledger_both, _file_both),
    (MatchRule.KEY, _ledger_by_key, _file_by_key),
    (MatchRule.REFERENCE, _ledger_by_reference_alone, _file_by_reference),
)


def _ledger_order(line: LedgerLine) -> tuple[datetime, str, str, str, int, str]:
    return (
        line.occurred_at,
        line.journal_id,
        line.type,
        line.channel_key or "",
        line.amount_minor,
        line.currency,
    )


def _file_order(line: FileLine) -> tuple[object, ...]:
    it = line.line
    return (
        it.settled_on,
        it.channel_reference,
        it.channel_key,
        it.type,
        it.amount_minor,
        it.currency,
        line.number,
    )
