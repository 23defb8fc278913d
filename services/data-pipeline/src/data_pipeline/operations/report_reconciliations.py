"""The last run of each day and channel, with its open breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from data_pipeline.operations.deps import Deps
from data_pipeline.store import breaks as break_store

BREAKS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Reconciliations:
    """`breaks` holds at most BREAKS_MAX; the runs' counts are whole."""

    runs: list[dict[str, Any]]
    breaks: list[dict[str, Any]]


async def report_reconciliations(deps: Deps, first: date, last: date) -> Reconciliations:
    """Runs and open breaks of the days `first` to `last`, newest day first."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        runs = await break_store.latest_runs(conn, first, last)
        return Reconciliations(runs, await break_store.open_breaks(conn, first, last, BREAKS_MAX))
