"""A merchant's settlement: each movement of its accounts is a line of one batch, and the lines net to the payout.

The balance of a statement is what the platform owes and nobody holds back: `pending`, `surcharge` and `available` of
the ledger (docs/money.md). `reserve`, `disputed` and `payouts_in_transit` are beside it: what goes there leaves the
balance, what comes back from there returns to it. So

    opening + captures + refunds + disputes + fees + reserve + conversions + corrections + payouts = closing

with what leaves as a negative amount, and each of the six accounts is its opening plus what its lines moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from data_pipeline.domain.facts import PAYOUT_DECIDED

BALANCE: Final = ("pending", "surcharge", "available")
BESIDE: Final = ("reserve", "disputed", "payouts_in_transit")
ACCOUNTS: Final = BALANCE + BESIDE


class Section(StrEnum):
    """Where a line stands on the statement, in this order."""

    CAPTURES = "captures"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    FEES = "fees"
    RESERVE = "reserve"
    CONVERSIONS = "conversions"
    CORRECTIONS = "corrections"
    PAYOUTS = "payouts"
    BETWEEN = "between_accounts"
    """From one account of the merchant's to another, or on one beside the balance: on no statement."""


class State(StrEnum):
    """What has become of a batch."""

    OPEN = "open"
    CLOSED = "closed"
    GENERATED = "generated"
    """Its statement is made."""
    PAID = "paid"
    """The bank has said of each of its payouts what became of it."""
    RECONCILED = "reconciled"
    """Its lines were found again in the facts, its sums are theirs, its payouts' amounts those of the payouts."""


_S: Final = Section
MOVES: Final[Mapping[tuple[str, str], tuple[str, Section]]] = MappingProxyType(
    {
        ("receivable", "pending"): ("capture", _S.CAPTURES),
        ("receivable", "available"): ("capture", _S.CAPTURES),  # before settlement delays existed
        ("receivable", "surcharge"): ("surcharge", _S.CAPTURES),
        ("available", "receivable"): ("refund", _S.REFUNDS),
        ("surcharge", "receivable"): ("surcharge_refund", _S.REFUNDS),
        ("available", "disputed"): ("dispute", _S.DISPUTES),
        ("disputed", "available"): ("dispute_won", _S.DISPUTES),
        ("disputed", "receivable"): ("dispute_lost", _S.DISPUTES),
        ("receivable", "disputed"): ("dispute_reinstated", _S.DISPUTES),
        ("pending", "fees"): ("fee", _S.FEES),
        ("available", "fees"): ("dispute_fee", _S.FEES),
        ("fees", "available"): ("fee_returned", _S.FEES),
        ("available", "reserve"): ("reserve", _S.RESERVE),
        ("reserve", "available"): ("reserve_released", _S.RESERVE),
        ("available", "fx"): ("conversion", _S.CONVERSIONS),
        ("fx", "available"): ("conversion", _S.CONVERSIONS),
        ("suspense", "available"): ("adjustment", _S.CORRECTIONS),
        ("available", "suspense"): ("adjustment", _S.CORRECTIONS),
        ("available", "payouts_in_transit"): ("payout", _S.PAYOUTS),
        ("payouts_in_transit", "available"): ("payout_undone", _S.PAYOUTS),
        ("bank", "available"): ("payout_returned", _S.PAYOUTS),
        ("payouts_in_transit", "bank"): ("payout_paid", _S.BETWEEN),
        ("pending", "available"): ("settlement", _S.BETWEEN),
        ("available", "pending"): ("settlement", _S.BETWEEN),
        ("surcharge", "pending"): ("surcharge_passed_on", _S.BETWEEN),
        ("available", "surcharge"): ("surcharge_passed_on", _S.BETWEEN),
    }
)
"""(kind debited, kind credited) -> what the movement is, and where it stands."""
INSTRUCTED: Final = "payout"
"""A movement out of the balance into a payout; what else stands among the payouts came back of one."""
OTHER: Final = "other"
"""A movement that this version has no word for: it counts all the same, as a correction."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a movement from `debit` to `credit` is to a merchant; `sign` is its effect on the balance."""

    debit: str
    credit: str
    kind: str
    section: Section
    sign: int


@dataclass(frozen=True, slots=True)
class Movement:
    """Transfers of one kind added up. A late one happened before the batch was opened."""

    debit: str
    credit: str
    is_late: bool
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a batch comes to. Minor units; what leaves the balance is negative."""

    opening: Mapping[str, int]
    closing: Mapping[str, int]
    """Account -> its balance."""
    sections: Mapping[Section, int]
    counts: Mapping[Section, int]
    came_back_minor: int = 0
    """Of the payouts: what failed, was cancelled or returned. It can be paid out again."""
    late_count: int = 0

    @property
    def opening_minor(self) -> int:
        return sum(self.opening.get(account, 0) for account in BALANCE)

    @property
    def closing_minor(self) -> int:
        return sum(self.closing.get(account, 0) for account in BALANCE)

    @property
    def line_count(self) -> int:
        return sum(self.counts.values())


def rule_on(debit: str, credit: str, merchant_id: str) -> Ruling | None:
    """What this movement is to the merchant; None when neither account is its own."""
    taken_from, given_to = own_account(debit, merchant_id), own_account(credit, merchant_id)
    if taken_from is None and given_to is None:
        return None
    sign = (given_to in BALANCE) - (taken_from in BALANCE)
    unknown = (OTHER, Section.CORRECTIONS if sign else Section.BETWEEN)
    kind, section = MOVES.get((_kind(debit), _kind(credit)), unknown)
    return Ruling(debit, credit, kind, section, sign)


def section_of(ruling: Ruling, is_late: bool) -> Section:
    """A late line stands among the corrections; a payout among the payouts, or they would not add up."""
    stays = ruling.section in (Section.PAYOUTS, Section.BETWEEN)
    return ruling.section if stays or not is_late else Section.CORRECTIONS


def settle(merchant_id: str, opening: Mapping[str, int], movements: Iterable[Movement]) -> Figures:
    """The figures of a batch that opens with these balances. Whoever else's movements there are is passed over."""
    closing = Counter({account: opening.get(account, 0) for account in ACCOUNTS})
    sections, counts = Counter(dict.fromkeys(Section, 0)), Counter(dict.fromkeys(Section, 0))
    came_back_minor, late_count = 0, 0
    for moved in movements:
        ruling = rule_on(moved.debit, moved.credit, merchant_id)
        if ruling is None:
            continue
        if account := own_account(moved.debit, merchant_id):
            closing[account] -= moved.amount_minor
        if account := own_account(moved.credit, merchant_id):
            closing[account] += moved.amount_minor
        section = section_of(ruling, moved.is_late)
        sections[section] += ruling.sign * moved.amount_minor
        counts[section] += moved.count
        if section is Section.PAYOUTS and ruling.kind != INSTRUCTED:
            came_back_minor += ruling.sign * moved.amount_minor
        late_count += moved.count if moved.is_late else 0
    figures = Figures(dict(opening), dict(closing), dict(sections), dict(counts), came_back_minor, late_count)
    assert figures.opening_minor + sum(sections.values()) == figures.closing_minor
    return figures


def end_of_day(at: datetime) -> datetime:
    """The UTC midnight after `at`."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def after_payouts(state: State, payouts: Iterable[str | None]) -> State:
    """A batch whose statement is made is paid when none of its payouts (by status) is still on its way; one of which
    nothing was told is. One that the bank refused is at its end, too: its money is back in a later batch's balance."""
    is_over = all(status in PAYOUT_DECIDED for status in payouts)
    return State.PAID if state is State.GENERATED and is_over else state


def own_account(account: str, merchant_id: str) -> str | None:
    """`available` of `merchant:mer_1:available`; None for an account that is not this merchant's."""
    own = f"merchant:{merchant_id}:"
    return account.removeprefix(own) if account.startswith(own) else None


def _kind(account: str) -> str:
    return account.rpartition(":")[2]
