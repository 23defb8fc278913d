"""Judge one UTC day of one channel: the ledger against the channel's settlement file.

Every line of the day, on either side, ends in exactly one of: matched, break, excluded with a reason. Lines
of the neighbouring days only serve as counterparts: a charge at 23:59:59 may be settled by the channel's
clock at 00:00:01. A pair belongs to the run of the day on which the file has it; the other day's run
excludes its half.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from data_pipeline.domain.matching import (
    FileLine,
    LedgerLine,
    MatchRule,
    Pair,
    Pairing,
    file_order,
    ledger_order,
    pair_lines,
)

EDGE: Final = timedelta(minutes=15)
"""How far from midnight a ledger line may lie and still be settled on the other day (queues, retries)."""
EDGE_GRACE: Final = timedelta(days=1)
"""After this the other day's file has come: what it does not hold is missing, not late."""
CLOCK_SKEW: Final = timedelta(seconds=5)
"""How far the channel's clock may be from ours: younger ledger lines may be too new for the file."""


class BreakClass(StrEnum):
    """What does not fit. One line, one class."""

    MISSING_IN_CHANNEL_FILE = "missing_in_channel_file"
    """We booked it, the channel does not know it: money that will not arrive."""
    MISSING_IN_LEDGER = "missing_in_ledger"
    """The channel did it, we did not book it: a payer was charged and nobody was credited."""
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    DUPLICATE_IN_FILE = "duplicate_in_file"
    DUPLICATE_IN_LEDGER = "duplicate_in_ledger"
    TIMING = "timing"
    """Booked so near to the edge of the file that the next one may hold it; closes by itself when it does."""


class Exclusion(StrEnum):
    """Why a line of the day is neither matched nor a break."""

    OTHER_PERIOD = "other_period"
    """Its counterpart is in the file of a neighbouring day, whose run has the pair."""
    AFTER_CUTOFF = "after_cutoff"
    """Booked after the file was made."""


@dataclass(frozen=True, slots=True)
class Break:
    """A line, or a pair, that does not fit; `rule` says what made it a pair."""

    id: str
    break_class: BreakClass
    ledger: LedgerLine | None
    file: FileLine | None
    rule: MatchRule | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    reason: Exclusion
    ledger: LedgerLine


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome of one day and channel."""

    matches: tuple[Pair, ...]
    breaks: tuple[Break, ...]
    excluded: tuple[Excluded, ...]


def reconcile(
    day: date,
    channel: str,
    ledger: Iterable[LedgerLine],
    file: Iterable[FileLine],
    *,
    file_made_at: datetime,
) -> Reconciliation:
    """Reconcile `day`. Both sides may hold lines of the neighbouring days; only those of `day` are judged."""
    pairing = pair_lines(ledger, file)
    ours = [pair for pair in pairing.pairs if pair.file.line.settled_on == day]
    differing = sorted((pair for pair in ours if _difference(pair)), key=_pair_order)
    left = list(_ledger_leftovers(pairing, day, file_made_at))
    found = [
        *((cls, pair.ledger, pair.file, pair.rule) for pair in differing if (cls := _difference(pair))),
        *((cls, None, line, None) for cls, line in _file_leftovers(pairing, day)),
        *((why, line, None, None) for why, line in left if isinstance(why, BreakClass)),
    ]
    return Reconciliation(
        matches=tuple(pair for pair in ours if not _difference(pair)),
        breaks=tuple(_named(day, channel, found)),
        excluded=(
            *(Excluded(Exclusion.OTHER_PERIOD, pair.ledger) for pair in _of_other_days(pairing, day)),
            *(Excluded(why, line) for why, line in left if isinstance(why, Exclusion)),
        ),
    )


def break_id(day: date, channel: str, break_class: BreakClass, references: Iterable[str]) -> str:
    """`brk_` and 130 bits of a SHA-256 over what names the break: a re-run finds the same id."""
    named = "\x1f".join((day.isoformat(), channel, break_class, *references))
    return "brk_" + base64.b32encode(hashlib.sha256(named.encode()).digest())[:26].decode().lower()


def _pair_order(pair: Pair) -> tuple[object, ...]:
    return ledger_order(pair.ledger), file_order(pair.file)


def _difference(pair: Pair) -> BreakClass | None:
    if pair.ledger.currency != pair.file.line.currency:
        return BreakClass.CURRENCY_DIFFERS
    if pair.ledger.amount_minor != pair.file.line.amount_minor:
        return BreakClass.AMOUNT_DIFFERS
    return None


def _of_other_days(pairing: Pairing, day: date) -> Iterator[Pair]:
    for pair in pairing.pairs:
        if _day_of(pair.ledger) == day != pair.file.line.settled_on:
            yield pair


def _file_leftovers(pairing: Pairing, day: date) -> Iterator[tuple[BreakClass, FileLine]]:
    asked = {_operation(line) for line in pairing.file_left}
    seen = {operation for pair in pairing.pairs if (operation := _operation(pair.file)) in asked}
    for line in pairing.file_left:
        is_repeated = _operation(line) in seen
        seen.add(_operation(line))
        if line.line.settled_on == day:
            yield BreakClass.DUPLICATE_IN_FILE if is_repeated else BreakClass.MISSING_IN_LEDGER, line


def _ledger_leftovers(
    pairing: Pairing, day: date, file_made_at: datetime
) -> Iterator[tuple[BreakClass | Exclusion, LedgerLine]]:
    asked = {_booked_operation(line) for line in pairing.ledger_left}
    seen = {operation for pair in pairing.pairs if (operation := _booked_operation(pair.ledger)) in asked}
    for line in pairing.ledger_left:
        is_repeated = line.channel_key is not None and _booked_operation(line) in seen
        seen.add(_booked_operation(line))
        if _day_of(line) == day:
            yield _alone(line, day, file_made_at, is_repeated=is_repeated), line


def _alone(
    line: LedgerLine, day: date, file_made_at: datetime, *, is_repeated: bool
) -> BreakClass | Exclusion:
    """What a ledger line without counterpart is."""
    if line.occurred_at >= file_made_at:
        return Exclusion.AFTER_CUTOFF
    if is_repeated:
        return BreakClass.DUPLICATE_IN_LEDGER
    if line.occurred_at > file_made_at - CLOCK_SKEW:
        return BreakClass.TIMING
    begins_at = datetime.combine(day, time(), UTC)
    for midnight in (begins_at, begins_at + timedelta(days=1)):
        if abs(line.occurred_at - midnight) <= EDGE and file_made_at < midnight + EDGE_GRACE:
            return BreakClass.TIMING
    return BreakClass.MISSING_IN_CHANNEL_FILE


def _named(
    day: date,
    channel: str,
    found: Iterable[tuple[BreakClass, LedgerLine | None, FileLine | None, MatchRule | None]],
) -> Iterator[Break]:
    """Give each its id; equal ones (a line three times in the file) are told apart by counting."""
    counted: Counter[tuple[str, ...]] = Counter()
    for break_class, ledger, file, rule in found:
        references = (
            *((ledger.type, ledger.journal_id, ledger.channel_reference or "") if ledger else ("", "", "")),
            *(_operation(file) if file else ("", "", "")),
        )
        name = (break_class, *references)
        counted[name] += 1
        yield Break(
            break_id(day, channel, break_class, (*references, str(counted[name]))),
            break_class,
            ledger,
            file,
            rule,
        )


def _operation(line: FileLine) -> tuple[str, str, str]:
    return line.line.type, line.line.channel_reference, line.line.channel_key


def _booked_operation(line: LedgerLine) -> tuple[str, str | None, str | None]:
    return line.type, line.channel_reference, line.channel_key


def _day_of(line: LedgerLine) -> date:
    return line.occurred_at.astimezone(UTC).date()
