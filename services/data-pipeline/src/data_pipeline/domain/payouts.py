"""The third side: what a channel's file says that it pays out, against what arrived at the bank.

    charges - refunds and lost disputes - fees = payout = line on the statement

A batch is all that a channel settled on one day in one currency, and is named the same in the channel's payout and on
the bank's line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from data_pipeline.domain.settlement import SettlementLine, SettlementType
from data_pipeline.domain.statements import StatementEntry


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
class JudgedPayout:
    """A batch and what the bank says of it; `entries` is how many lines name it, `received_minor` their sum."""

    payout: Payout
    state: PayoutState
    received_minor: int | None
    entries: int


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
    payouts: Iterable[Payout], statements: Mapping[str, Iterable[StatementEntry]]
) -> list[JudgedPayout]:
    """Match N:1 by batch number: several lines of one batch add up. `statements` are by currency; a currency without
    one is expected still."""
    received: dict[str, list[int]] = {}
    for entries in statements.values():
        for entry in entries:
            received.setdefault(entry.reference, []).append(entry.amount_minor)
    return [
        _judged(payout, received.get(payout.batch, []), payout.currency in statements) for payout in payouts
    ]


def _judged(payout: Payout, amounts: list[int], has_come: bool) -> JudgedPayout:
    if not has_come:
        return JudgedPayout(payout, PayoutState.EXPECTED, None, 0)
    if not amounts:
        return JudgedPayout(payout, PayoutState.MISSING, None, 0)
    state = PayoutState.RECEIVED if sum(amounts) == payout.net_minor else PayoutState.DIFFERS
    return JudgedPayout(payout, state, sum(amounts), len(amounts))
