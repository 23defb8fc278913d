"""Pair the lines of two sides: what our ledger booked at a channel, and what the channel's file says.

The strongest rule goes first, and equal amounts go before unequal ones: otherwise a doubled line with a
wrong amount could take the place of the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Final, TypeVar

from data_pipeline.domain.settlement import SettlementLine, SettlementType

_L = TypeVar("_L")


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
    """Pair by each step in turn. What becomes a pair does not depend on the order of the inputs."""
    pairs: list[Pair] = []
    ledger_left, file_left = _pair_plain(pairs, list(ledger), list(file))
    for step in _STEPS:
        ledger_left, file_left = _pair(pairs, step, ledger_left, file_left)
    ledger_left.sort(key=ledger_order)
    file_left.sort(key=file_order)
    return Pairing(tuple(pairs), tuple(ledger_left), tuple(file_left))


def ledger_order(line: LedgerLine) -> tuple[datetime, str, str, str, int, str]:
    """A total order, so that of several equal candidates the same ones pair in every run."""
    key = line.channel_key or ""
    return line.occurred_at, line.journal_id, line.type, key, line.amount_minor, line.currency


def file_order(line: FileLine) -> tuple[object, ...]:
    """A total order; the number of the line comes last, because a file that grows moves its lines."""
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


@dataclass(frozen=True, slots=True)
class _Step:
    """Lines pair when `key` is equal; ledger lines that are not `usable` wait for a later step."""

    rule: MatchRule
    key: Callable[[LedgerLine | SettlementLine], Hashable]
    usable: Callable[[LedgerLine], bool]


def _pair_plain(
    pairs: list[Pair], ledger: list[LedgerLine], file: list[FileLine]
) -> tuple[list[LedgerLine], list[FileLine]]:
    """Lines whose key stands once on either side and that agree in all, nearly all of a day: the first step would pair
    them the same, in several times the time. Returns what is left."""
    theirs, ours = _by_key(file, _FILE_KEY), _by_key(ledger, _LEDGER_KEY)
    paired: set[str] = set()
    left: list[LedgerLine] = []
    for booked in ledger:
        key = booked.channel_key
        stated = theirs.get(key) if key is not None and ours[key] is not None else None
        if stated is not None and _agree(booked, stated.line):
            pairs.append(Pair(booked, stated, MatchRule.REFERENCE_AND_KEY))
            paired.add(stated.line.channel_key)
        else:
            left.append(booked)
    return left, [line for line in file if line.line.channel_key not in paired]


def _by_key(lines: Iterable[_L], key_of: Callable[[_L], str | None]) -> dict[str | None, _L | None]:
    """Key -> the line that has it alone; None when several have."""
    found: dict[str | None, _L | None] = {}
    for line in lines:
        key = key_of(line)
        found[key] = None if key in found else line
    return found


def _agree(booked: LedgerLine, stated: SettlementLine) -> bool:
    return (
        booked.channel_reference == stated.channel_reference
        and booked.amount_minor == stated.amount_minor
        and booked.currency == stated.currency
        and booked.type == stated.type
    )


def _pair(
    pairs: list[Pair], step: _Step, ledger: list[LedgerLine], file: list[FileLine]
) -> tuple[list[LedgerLine], list[FileLine]]:
    """One step over what is left; returns what is left after it."""
    if not ledger or not file:
        return ledger, file
    theirs: dict[Hashable, list[FileLine]] = {}
    for line in file:
        theirs.setdefault(step.key(line.line), []).append(line)
    ours: dict[Hashable, list[LedgerLine]] = {}
    left: list[LedgerLine] = []
    for booked in ledger:
        if step.usable(booked):
            ours.setdefault(step.key(booked), []).append(booked)
        else:
            left.append(booked)
    for key, candidates in ours.items():
        lines = theirs.pop(key, [])
        if len(candidates) == len(lines) == 1:  # nearly all of a day; a million of them in some seconds
            pairs.append(Pair(candidates[0], lines[0], step.rule))
            continue
        candidates.sort(key=ledger_order)
        lines.sort(key=file_order)
        count = min(len(candidates), len(lines))
        pairs.extend(Pair(candidates[n], lines[n], step.rule) for n in range(count))
        left.extend(candidates[count:])
        theirs[key] = lines[count:]
    return left, [line for lines in theirs.values() for line in lines]


def _has_both(line: LedgerLine) -> bool:
    return line.channel_reference is not None and line.channel_key is not None


def _has_key(line: LedgerLine) -> bool:
    return line.channel_key is not None


def _has_reference(line: LedgerLine) -> bool:
    return line.channel_reference is not None


def _has_reference_alone(line: LedgerLine) -> bool:
    """Two keys that differ are two operations of one charge (captures in parts), not a wrong amount."""
    return line.channel_reference is not None and line.channel_key is None


_LEDGER_KEY: Final[Callable[[LedgerLine], str | None]] = attrgetter("channel_key")
_FILE_KEY: Final[Callable[[FileLine], str | None]] = attrgetter("line.channel_key")
_BOTH: Final = ("type", "channel_reference", "channel_key")
_KEY: Final = ("type", "channel_key")
_REFERENCE: Final = ("type", "channel_reference")
_MONEY: Final = ("amount_minor", "currency")
_STEPS: Final = (
    _Step(MatchRule.REFERENCE_AND_KEY, attrgetter(*_BOTH, *_MONEY), _has_both),
    _Step(MatchRule.KEY, attrgetter(*_KEY, *_MONEY), _has_key),
    _Step(MatchRule.REFERENCE, attrgetter(*_REFERENCE, *_MONEY), _has_reference),
    _Step(MatchRule.REFERENCE_AND_KEY, attrgetter(*_BOTH), _has_both),
    _Step(MatchRule.KEY, attrgetter(*_KEY), _has_key),
    _Step(MatchRule.REFERENCE, attrgetter(*_REFERENCE), _has_reference_alone),
)
