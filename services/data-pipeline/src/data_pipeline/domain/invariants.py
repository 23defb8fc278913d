"""What must hold of the warehouse at any time, and how a look at it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

UNCHECKED_MAX: Final = timedelta(hours=1)
"""Longest time that a closed batch may wait for its first look."""
LOOK_MAX: Final = timedelta(minutes=15)
"""Longest time between two looks at settlements, which come every minute."""


class Severity(StrEnum):
    """`critical` means that money or events are not where they should be: somebody is called."""

    CRITICAL = "critical"
    WARNING = "warning"


class Invariant(StrEnum):
    """Each is a sentence that is true or not."""

    LEDGER_EQUALS_WAREHOUSE = "ledger_equals_warehouse"
    BALANCES_EQUAL_LEDGER = "balances_equal_ledger"
    BALANCES_EQUAL_TRANSFERS = "balances_equal_transfers"
    POSITIONS_WITHOUT_GAP = "positions_without_gap"
    JOURNALS_ARE_WHOLE = "journals_are_whole"
    ROLLUP_EQUALS_DETAIL = "rollup_equals_detail"
    ROLLUP_GRAINS_AGREE = "rollup_grains_agree"
    REFUNDED_WITHIN_CAPTURED = "refunded_within_captured"
    SETTLEMENTS_NET = "settlements_net"

    @property
    def severity(self) -> Severity:
        is_warning = (
            self is Invariant.REFUNDED_WITHIN_CAPTURED
        )  # the gateway's to explain, not a loss of ours
        return Severity.WARNING if is_warning else Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Check:
    """One look. `is_kept` is None when it could not be judged; `figures` say what was seen, or why not.

    `position` is the last event of the payments stream that the look included, None where that means nothing.
    """

    invariant: Invariant
    is_kept: bool | None
    figures: Mapping[str, Any]
    position: int | None = None


def compare_totals(ledger: Mapping[str, int], warehouse: Mapping[str, int], position: int) -> Check:
    """Minor units moved by currency on both sides, as of one position: equal to the unit, or broken."""
    currencies = {
        currency: {"ledger_minor": ledger.get(currency, 0), "warehouse_minor": warehouse.get(currency, 0)}
        for currency in sorted({*ledger, *warehouse})
    }
    differing = sorted(
        currency
        for currency, sides in currencies.items()
        if sides["ledger_minor"] != sides["warehouse_minor"]
    )
    figures = {"currencies": currencies, "differing": differing}
    return Check(Invariant.LEDGER_EQUALS_WAREHOUSE, not differing, figures, position)


def compare_balances(
    ledger: Mapping[tuple[str, str], tuple[int, ...]],
    warehouse: Mapping[tuple[str, str], tuple[int, ...]],
) -> list[str]:
    """Accounts with currency whose counters differ; one that a side does not have is one of zeros."""
    nothing = (0, 0, 0, 0)
    return [
        ":".join(name)
        for name in sorted({*ledger, *warehouse})
        if ledger.get(name, nothing) != warehouse.get(name, nothing)
    ]


def judge_round(figures: Mapping[str, Any], position: int) -> Check:
    """A round of looks at all accounts, of which the last look ended at `ended_at` or at the end. While it is under way
    it holds when neither it nor the round before it found a difference; the first is not judged before its end."""
    invariant = Invariant.BALANCES_EQUAL_LEDGER
    if figures["differing_count"]:
        return Check(invariant, False, figures, position)
    if figures["ended_at"] is None:
        return Check(invariant, True, figures, position)
    before = figures["round_before_differing_count"]
    if before is None:
        return Check(invariant, None, {**figures, "why": "the first round is not over"}, position)
    return Check(invariant, before == 0, figures, position)


def judge_settlements(figures: Mapping[str, Any], now: datetime, position: int) -> Check:
    """What looks at settlements have found, whoever looked when. Not judged while the looks do not come, or do not get
    to the batches that were closed."""
    invariant = Invariant.SETTLEMENTS_NET
    if figures["batches"] or figures["left_out"]:
        return Check(invariant, False, figures, position)
    looked_at, unchecked_since = figures["looked_at"], figures["unchecked_since"]
    if looked_at is not None and now - looked_at > LOOK_MAX:
        return Check(invariant, None, {**figures, "why": "settlements are not looked at"}, position)
    if unchecked_since is not None and now - unchecked_since > UNCHECKED_MAX:
        why = "batches were closed an hour ago and not looked at since"
        return Check(invariant, None, {**figures, "why": why}, position)
    return Check(invariant, True, figures, position)
