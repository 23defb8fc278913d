"""The third side: what a channel's file says that it pays out, against what arrived at the bank.

    charges - refunds and lost disputes - fees = payout = line on the statement

A batch is all that a channel settled on one day in one currency, and is named the same in the channel's payout and on
the bank's line. A line that names no batch of the day is money that nobody can explain yet, and is told apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from data_pipeline.domain.settlement import SettlementLine, SettlementType
from data_pipeline.domain.statements import BATCH, StatementEntry

OVERDUE_AFTER: Final = timedelta(days=3)
"""A batch that is expected for longer than this, from its day on, counts as not received: no statement is no excuse."""
THE_BANK: Final = "bank"
"""Stands for the channel where a line of the statement names none of ours."""


class PayoutState(StrEnum):
    EXPECTED = "expected"
    """The bank's statement of its day has not come."""
    RECEIVED = "received"
    DIFFERS = "differs"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Payout:
    """One batch, in minor units of `currency`. `net_minor` below zero: the channel takes it from us."""

    channel: str
    settled_on: date
    currency: str
    charge_minor: int = 0
    refund_minor: int = 0
    fee_minor: int = 0
    """Of lines and of the batch; corrections are in it, with the sign of a fee."""

    @property
    def batch(self) -> str:
        return f"{self.channel}-{self.settled_on:%Y%m%d}-{self.currency}"

    @property
    def net_minor(self) -> int:
        return self.charge_minor - self.refund_minor - self.fee_minor


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a statement after the day's own has under a batch's name: it came late, and is the batch's all the same."""

    batch: str
    amount_minor: int
    booked_on: date
    sha256: str
    """Of the statement."""


@dataclass(frozen=True, slots=True)
class JudgedPayout:
    """A batch and what the bank says of it; `entries` is how many lines name it, `received_minor` their sum, those of
    `late` among them."""

    payout: Payout
    state: PayoutState
    received_minor: int | None
    entries: int
    late: tuple[Arrival, ...] = ()


@dataclass(frozen=True, slots=True)
class UnexpectedEntries:
    """Lines of a statement under one name that no batch expects; `amount_minor` is their sum, below zero we paid."""

    reference: str
    currency: str
    amount_minor: int

    def channel(self, channels: Collection[str]) -> str:
        """Whose batch the name says it is, be it of another day; THE_BANK when it is none of `channels`."""
        named = self.reference.partition("-")[0] if re.fullmatch(BATCH, self.reference) else ""
        return named if named in channels else THE_BANK


def payouts_of(
    channel: str, day: date, lines: Iterable[SettlementLine], adjustments: Iterable[tuple[str, int]] = ()
) -> list[Payout]:
    """The batches of a file, by currency. What comes to nothing is paid by nobody, and left out."""
    sums: dict[str, list[int]] = {}
    for line in lines:
        total = sums.setdefault(line.currency, [0, 0, 0])
        total[0 if line.type is SettlementType.CHARGE else 1] += line.amount_minor
        total[2] += line.fee_minor
    for currency, minor in adjustments:
        sums.setdefault(currency, [0, 0, 0])[2] -= minor
    batches = (Payout(channel, day, currency, *sums[currency]) for currency in sorted(sums))
    return [batch for batch in batches if batch.net_minor]


def judge_payouts(
    payouts: Iterable[Payout],
    statements: Mapping[str, Iterable[StatementEntry]],
    late: Iterable[Arrival] = (),
) -> list[JudgedPayout]:
    """Match N:1 by currency and batch number: several lines of one batch add up, whenever they were booked.
    `statements` are by currency; a currency without one is expected still, unless something came late. Lines of no
    batch are left out here: see `unexpected_entries`."""
    booked = _by_name(statements)
    came: dict[str, list[Arrival]] = {}
    for arrival in late:
        came.setdefault(arrival.batch, []).append(arrival)
    return [
        _judged(
            payout,
            booked.get((payout.currency, payout.batch), []),
            tuple(came.get(payout.batch, ())),
            payout.currency in statements,
        )
        for payout in payouts
    ]


def unexpected_entries(
    payouts: Iterable[Payout],
    statements: Mapping[str, Iterable[StatementEntry]],
    earlier: Collection[str] = (),
) -> list[UnexpectedEntries]:
    """The rest of the statements: what `judge_payouts` with all batches of the day matches with none of them. What
    names a batch of an `earlier` day is that batch's."""
    expected = {(payout.currency, payout.batch) for payout in payouts}
    expected |= {(batch.rpartition("-")[2], batch) for batch in earlier}
    return [
        UnexpectedEntries(reference, currency, sum(amounts))
        for (currency, reference), amounts in sorted(_by_name(statements).items())
        if (currency, reference) not in expected
    ]


def _by_name(statements: Mapping[str, Iterable[StatementEntry]]) -> dict[tuple[str, str], list[int]]:
    """(Currency, reference) -> the amounts under that name."""
    booked: dict[tuple[str, str], list[int]] = {}
    for currency, entries in statements.items():
        for entry in entries:
            booked.setdefault((currency, entry.reference), []).append(entry.amount_minor)
    return booked


def _judged(payout: Payout, amounts: list[int], late: tuple[Arrival, ...], has_come: bool) -> JudgedPayout:
    amounts = [*amounts, *(one.amount_minor for one in late)]
    if not amounts:
        return JudgedPayout(payout, PayoutState.MISSING if has_come else PayoutState.EXPECTED, None, 0)
    state = PayoutState.RECEIVED if sum(amounts) == payout.net_minor else PayoutState.DIFFERS
    return JudgedPayout(payout, state, sum(amounts), len(amounts), late)
