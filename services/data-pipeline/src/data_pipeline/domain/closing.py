"""What a person may do about a break, and what it costs: `decide` is a pure step from one standing to the next.

Nothing is edited: each act is appended, and the standing of a break is what its acts come to. A difference above the
limit takes four eyes: who proposes is not who approves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from data_pipeline.domain.reconciliation import OF_PAYOUTS, BreakClass
from data_pipeline.domain.settlement import SettlementType
from platform_kit.money import exponent


class Act(StrEnum):
    """What was done. The first four are reasons to close."""

    ACCEPT = "accept"
    """It is right as it is, or too small to follow; nothing is booked."""
    WRITE_OFF = "write_off"
    """The platform bears it, or keeps it: booked, and resolved to the platform."""
    CLAIM = "claim"
    """The channel is asked for it. The break stays open until its counterpart arrives."""
    CORRECT = "correct"
    """The ledger is put right by a reversing entry between the channel and suspense."""
    APPROVE = "approve"
    REJECT = "reject"
    NOTE = "note"
    ASSIGN = "assign"
    BOOKED = "booked"
    """By the platform: the ledger has the entries."""
    REFUSED = "refused"
    """By the platform: the ledger refused an entry, and people decide once more."""
    REOPENED = "reopened"
    """By the platform: a later file says something else than what was closed."""
    CLOSED = "closed"
    """By the platform: a run does not find it any more, its counterpart has come."""


REASONS: Final = (Act.ACCEPT, Act.WRITE_OFF, Act.CLAIM, Act.CORRECT)
BOOKS: Final = (Act.WRITE_OFF, Act.CORRECT)
BY_PEOPLE: Final = (*REASONS, Act.APPROVE, Act.REJECT, Act.NOTE, Act.ASSIGN)


class State(StrEnum):
    """How a break stands with people; whether it is still found is another matter (`closed_at`)."""

    OPEN = "open"
    PROPOSED = "proposed"
    """A second person has to agree."""
    BOOKING = "booking"
    """Agreed; the ledger has yet to say that it has the entry."""
    CLAIMED = "claimed"
    RESOLVED = "resolved"


class MayNot(ValueError):
    """The act is not possible now; the text says why."""


class SamePerson(MayNot):
    """Four eyes are two people."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a break stands. `is_found`: the newest run still finds it."""

    state: State = State.OPEN
    resolution: Act | None = None
    decided_by: str | None = None
    owner: str | None = None
    is_found: bool = True


@dataclass(frozen=True, slots=True)
class Sides:
    """The money of a break on both sides, in minor units; what a side does not have is None."""

    break_class: BreakClass
    settled_type: SettlementType
    ledger_minor: int | None = None
    ledger_currency: str | None = None
    file_minor: int | None = None
    file_currency: str | None = None
    expected_fee_minor: int | None = None
    file_fee_minor: int | None = None
    bank_minor: int | None = None
    """Of a payout: below zero the channel took it."""
    booked_minor: Mapping[str, int] = field(default_factory=dict)
    """Currency -> what earlier decisions have booked of the difference."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One entry that makes the ledger say what the channel says. `amount_minor` > 0; received = it owes more."""

    is_received: bool
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was agreed on and is booked, whatever the sides say by now. `number` counts those of its break, from 1: it
    stands in the names of the entries. `actor` and `note` are those of the act that agreed."""

    number: int
    resolution: Act
    corrections: tuple[Correction, ...]
    actor: str
    note: str


# A payout that is late or short changes nothing in the ledger: the channel still owes it.
_BOOKABLE: Final = frozenset(BreakClass) - OF_PAYOUTS - {BreakClass.TIMING}


def differences(sides: Sides) -> dict[str, int]:
    """Currency -> what the channel says less what the ledger has, seen from us: below zero it owes us less.
    Of a payout: what arrived less what the channel says."""
    if sides.break_class is BreakClass.FEE_DIFFERS:
        fee = (sides.expected_fee_minor or 0) - (sides.file_fee_minor or 0)
        return {str(sides.file_currency): fee} if fee else {}
    sign = 1 if sides.settled_type is SettlementType.CHARGE else -1
    if sides.break_class in OF_PAYOUTS:
        missing = (sides.bank_minor or 0) - sign * (sides.file_minor or 0)
        return {str(sides.file_currency): missing} if missing else {}
    sums: dict[str, int] = {}
    for minor, currency, direction in (
        (sides.ledger_minor, sides.ledger_currency, -1),
        (sides.file_minor, sides.file_currency, 1),
    ):
        if minor is not None and currency is not None:
            sums[currency] = sums.get(currency, 0) + direction * sign * minor
    return {currency: minor for currency, minor in sums.items() if minor}


def left_minor(sides: Sides) -> dict[str, int]:
    """Currency -> what is left of the difference over what was booked of it."""
    found = differences(sides)
    left = {
        currency: found.get(currency, 0) - sides.booked_minor.get(currency, 0)
        for currency in found.keys() | sides.booked_minor.keys()
    }
    return {currency: minor for currency, minor in left.items() if minor}


def corrections(sides: Sides) -> tuple[Correction, ...]:
    """The entries that put the ledger right, by currency: what is left of the difference over what was booked. None for
    what closes by itself."""
    if sides.break_class not in _BOOKABLE:
        return ()
    return tuple(
        Correction(minor > 0, abs(minor), currency) for currency, minor in sorted(left_minor(sides).items())
    )


def booked_minor(entries: Iterable[Correction]) -> dict[str, int]:
    """Currency -> what these entries change, signed as `differences` are."""
    return {one.currency: one.amount_minor if one.is_received else -one.amount_minor for one in entries}


def needs_four_eyes(sides: Sides, above_units: int) -> bool:
    """Whether the difference, or what is left of it to book, is above `above_units` whole units of its currency."""
    return any(
        abs(minor) > above_units * 10 ** exponent(currency)
        for currency, minor in (*differences(sides).items(), *left_minor(sides).items())
    )


def decide(standing: Standing, sides: Sides, act: Act, actor: str, *, four_eyes_above: int) -> Standing:
    """The standing after a person's act. Raises MayNot or SamePerson."""
    if act in (Act.NOTE, Act.ASSIGN):
        return standing
    if not standing.is_found or standing.state is State.RESOLVED:
        raise MayNot("It is closed.")
    if standing.state is State.BOOKING:
        if act in (standing.resolution, Act.APPROVE):
            return standing  # the same person's second try, or anybody's: the entry has one name, and is written once
        raise MayNot("Its correction is being booked: send the same act again.")
    if act in (Act.APPROVE, Act.REJECT):
        return _answered(standing, act, actor)
    if act not in REASONS:
        raise MayNot("That is nothing that a person does.")
    if standing.state is State.PROPOSED:
        raise MayNot("It waits for a second person: approve or reject it first.")
    if act in BOOKS and not corrections(sides):
        raise MayNot("There is nothing to book: it closes by itself, or can only be accepted or claimed.")
    chosen = replace(standing, resolution=act, decided_by=actor)
    if act is not Act.CLAIM and needs_four_eyes(sides, four_eyes_above):
        return replace(chosen, state=State.PROPOSED)
    return _agreed(chosen)


def possible(standing: Standing, sides: Sides, actor: str, *, four_eyes_above: int) -> tuple[Act, ...]:
    """Which reasons and answers `decide` takes from this person now."""
    found = []
    for act in (*REASONS, Act.APPROVE, Act.REJECT):
        try:
            decide(standing, sides, act, actor, four_eyes_above=four_eyes_above)
        except MayNot:
            continue
        found.append(act)
    return tuple(found)


def booked(standing: Standing, sides: Sides) -> Standing:
    """The ledger has what was agreed on; open again when the sides, with that in `booked_minor`, differ still."""
    assert standing.state is State.BOOKING
    return _opened(standing) if corrections(sides) else replace(standing, state=State.RESOLVED)


def refused(standing: Standing) -> Standing:
    """The ledger does not take what was agreed on."""
    assert standing.state is State.BOOKING
    return _opened(standing)


def _answered(standing: Standing, act: Act, actor: str) -> Standing:
    if standing.state is not State.PROPOSED:
        raise MayNot("Nothing waits for a second person.")
    if act is Act.REJECT:
        return _opened(standing)
    if standing.decided_by is None or actor.casefold() == standing.decided_by.casefold():
        raise SamePerson("Who proposed it cannot approve it.")
    return _agreed(standing)


_AGREED: Final[Mapping[Act, State]] = {
    Act.ACCEPT: State.RESOLVED,
    Act.CLAIM: State.CLAIMED,
    Act.WRITE_OFF: State.BOOKING,
    Act.CORRECT: State.BOOKING,
}


def _opened(standing: Standing) -> Standing:
    return replace(standing, state=State.OPEN, resolution=None, decided_by=None)


def _agreed(standing: Standing) -> Standing:
    assert standing.resolution is not None
    return replace(standing, state=_AGREED[standing.resolution])
