"""Days and channels side by side: what matched, what is broken, what is late, and how much money that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from data_pipeline.domain import closing
from data_pipeline.domain.payouts import THE_BANK
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.operations.deps import Deps
from data_pipeline.store import break_list, breaks
from data_pipeline.store import runs as run_store

LATE = frozenset({BreakClass.TIMING, BreakClass.PAYOUT_NOT_RECEIVED})
"""What is on its way, or should be: told apart from what is wrong."""


@dataclass(slots=True)
class Cell:
    """A day of a channel. Amounts by currency, in minor units: `file_minor` is what the channel's file comes to:
    charges less refunds, before fees, broken lines too. The others are what open breaks differ by, whatever the
    direction."""

    run: dict[str, Any] | None = None
    broken_count: int = 0
    late_count: int = 0
    file_minor: Counter[str] = field(default_factory=Counter)
    broken_minor: Counter[str] = field(default_factory=Counter)
    late_minor: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Newest day first. `channels` has the bank's own lines only where there are any."""

    days: Sequence[date]
    channels: Sequence[str]
    cells: Mapping[tuple[date, str], Cell]


async def report_days(deps: Deps, last: date, count: int) -> Matrix:
    """The `count` days up to `last`, of one moment."""
    first = last - timedelta(days=count - 1)
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        runs = await run_store.latest_runs(conn, deps.settings.channels, first, last)
        sums = await break_list.open_sums(conn, first, last)
    cells: dict[tuple[date, str], Cell] = {}
    for run in runs:
        cell = cells.setdefault((run["day"], run["channel"]), Cell())
        cell.run = run
        for total in run["totals"]:
            sign = 1 if total["type"] == "charge" else -1
            cell.file_minor[total["currency"]] += sign * total["file_minor"]
    for row in sums:
        _add(cells.setdefault((row["day"], row["channel"]), Cell()), row)
    named = {channel for _, channel in cells}
    others = sorted(named - set(deps.settings.channels) - {THE_BANK})
    bank = [THE_BANK] if THE_BANK in named else []
    days = [last - timedelta(days=back) for back in range(count)]
    return Matrix(days, [*deps.settings.channels, *others, *bank], cells)


def _add(cell: Cell, row: dict[str, Any]) -> None:
    is_late = row["break_class"] in LATE
    if is_late:
        cell.late_count += row["break_count"]
    else:
        cell.broken_count += row["break_count"]
    into = cell.late_minor if is_late else cell.broken_minor
    for currency, minor in closing.differences(breaks.sides_of(row, {})).items():
        into[currency] += abs(minor)
