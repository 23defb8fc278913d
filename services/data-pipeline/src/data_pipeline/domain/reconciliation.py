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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
from data_pipeline.domain.settlement import SettlementType
from data_pipeline.domain.terms import Cause, ChannelTerms

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
    FEE_DIFFERS = "fee_differs"
    """The channel kept another fee than was agreed with it."""
    STATUS_DIFFERS = "status_differs"
    """The channel settled what our ledger only holds, or has let go."""
    DUPLICATE_IN_FILE = "duplicate_in_file"
    DUPLICATE_IN_LEDGER = "duplicate_in_ledger"
    TIMING = "timing"
    """Booked so near to the edge of the file that the next one may hold it; closes by itself when it does."""
    PAYOUT_NOT_RECEIVED = "payout_not_received"
    """The bank's statement has no line of the batch, or has not come for days."""
    PAYOUT_AMOUNT_DIFFERS = "payout_amount_differs"
    """The bank got another amount than the channel's file comes to."""
    UNEXPECTED_ON_STATEMENT = "unexpected_on_statement"
    """The bank's statement has a line that no batch of the day expects."""


OF_PAYOUTS: Final = frozenset(
    {
        BreakClass.PAYOUT_NOT_RECEIVED,
        BreakClass.PAYOUT_AMOUNT_DIFFERS,
        BreakClass.UNEXPECTED_ON_STATEMENT,
    }
)
"""Between channel and bank; all others are between ledger and channel."""


class HoldStatus(StrEnum):
    """What became of a hold that was never posted."""

    HELD = "held"
    RELEASED = "released"


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
    expected_fee_minor: int | None = None
    """By the terms of the channel; with FEE_DIFFERS alone."""
    ledger_status: HoldStatus | None = None
    """How our ledger stands with it; with STATUS_DIFFERS alone."""


@dataclass(frozen=True, slots=True)
class Excluded:
    reason: Exclusion
    ledger: LedgerLine


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome of one day and channel."""

    matches: tuple[Pair, ...]
    """In agreement, or within a declared tolerance."""
    breaks: tuple[Break, ...]
    excluded: tuple[Excluded, ...]
    tolerated_count: int = 0
    """How many of the matches needed a tolerance."""


def reconcile(
    day: date,
    channel: str,
    ledger: Iterable[LedgerLine],
    file: Iterable[FileLine],
    *,
    file_made_at: datetime,
    terms: ChannelTerms | None = None,
) -> Reconciliation:
    """Reconcile `day`. Both sides may hold lines of the neighbouring days; only those of `day` are judged. Without
    terms no fee is, and nothing is tolerated."""
    pairing = pair_lines(ledger, file)
    matches: list[Pair] = []
    differing: list[tuple[BreakClass, Pair]] = []
    tolerated_count = 0
    for pair in pairing.pairs:
        if pair.file.line.settled_on != day:
            continue
        judged = _difference(pair, terms)
        if isinstance(judged, BreakClass):
            differing.append((judged, pair))
        else:
            matches.append(pair)
            tolerated_count += judged
    differing.sort(key=lambda found: _pair_order(found[1]))
    left = list(_ledger_leftovers(pairing, day, file_made_at))
    found = [
        *((cls, pair.ledger, pair.file, pair.rule) for cls, pair in differing),
        *((cls, None, line, None) for cls, line in _file_leftovers(pairing, day)),
        *((why, line, None, None) for why, line in left if isinstance(why, BreakClass)),
    ]
    return Reconciliation(
        matches=tuple(matches),
        breaks=tuple(_with_fee(broken, terms) for broken in _named(day, channel, found)),
        excluded=(
            *(Excluded(Exclusion.OTHER_PERIOD, pair.ledger) for pair in _of_other_days(pairing, day)),
            *(Excluded(why, line) for why, line in left if isinstance(why, Exclusion)),
        ),
        tolerated_count=tolerated_count,
    )


def with_holds(
    outcome: Reconciliation, day: date, channel: str, holds: Mapping[str, HoldStatus]
) -> Reconciliation:
    """Of what is missing in the ledger, tell apart what the ledger knows and never posted: `holds` are by the channel's
    reference."""
    breaks = []
    for broken in outcome.breaks:
        file = broken.file
        status = holds.get(file.line.channel_reference) if file and _is_unbooked_charge(broken) else None
        if file is None or status is None:
            breaks.append(broken)
            continue
        references = ("", "", "", *_operation(file), "1")
        identity = break_id(day, channel, BreakClass.STATUS_DIFFERS, references)
        breaks.append(
            replace(broken, id=identity, break_class=BreakClass.STATUS_DIFFERS, ledger_status=status)
        )
    return replace(outcome, breaks=tuple(breaks))


def _is_unbooked_charge(broken: Break) -> bool:
    file = broken.file
    return (
        broken.break_class is BreakClass.MISSING_IN_LEDGER
        and file is not None
        and file.line.type is SettlementType.CHARGE
    )


def break_id(day: date, channel: str, break_class: BreakClass, references: Iterable[str]) -> str:
    """`brk_` and 130 bits of a SHA-256 over what names the break: a re-run finds the same id."""
    named = "\x1f".join((day.isoformat(), channel, break_class, *references))
    return "brk_" + base64.b32encode(hashlib.sha256(named.encode()).digest())[:26].decode().lower()


def _pair_order(pair: Pair) -> tuple[object, ...]:
    return ledger_order(pair.ledger), file_order(pair.file)


def _difference(pair: Pair, terms: ChannelTerms | None) -> BreakClass | bool:
    """The class of a pair that disagrees; else whether it took a tolerance to agree."""
    booked, stated = pair.ledger, pair.file.line
    if booked.currency != stated.currency:
        return BreakClass.CURRENCY_DIFFERS
    tolerated = False
    if off := stated.amount_minor - booked.amount_minor:
        if terms is None or not terms.tolerates(Cause.FX_ROUNDING, off, stated.currency):
            return BreakClass.AMOUNT_DIFFERS
        tolerated = True
    if terms is None:
        return False
    if off := stated.fee_minor - terms.fee_minor(stated.type, stated.amount_minor, stated.currency):
        if not terms.tolerates(Cause.FEE_ROUNDING, off, stated.currency):
            return BreakClass.FEE_DIFFERS
        tolerated = True
    return tolerated


def _with_fee(broken: Break, terms: ChannelTerms | None) -> Break:
    if broken.break_class is not BreakClass.FEE_DIFFERS or terms is None or broken.file is None:
        return broken
    line = broken.file.line
    return replace(broken, expected_fee_minor=terms.fee_minor(line.type, line.amount_minor, line.currency))


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
