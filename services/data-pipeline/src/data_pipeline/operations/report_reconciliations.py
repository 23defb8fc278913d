"""The last run of each day and channel, with its open breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from data_pipeline.operations.deps import Deps
from data_pipeline.store import breaks as break_store
from data_pipeline.store import runs as run_store
from platform_kit.problems import NotFound

BREAKS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Reconciliations:
    """`breaks` holds at most BREAKS_MAX; the runs' counts are whole."""

    runs: list[dict[str, Any]]
    breaks: list[dict[str, Any]]


async def report_run(deps: Deps, run_id: str) -> dict[str, Any]:
    """One run, with the open breaks of its day and channel."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        run = await run_store.run(conn, run_id)
        if run is None:
            raise NotFound("There is no such run.")
        breaks = await break_store.open_breaks(conn, run["day"], run["day"], BREAKS_MAX)
        return run | {"breaks": [one for one in breaks if one["channel"] == run["channel"]]}


async def report_reconciliations(deps: Deps, first: date, last: date) -> Reconciliations:
    """Runs and open breaks of the days `first` to `last`, newest day first."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        runs = await run_store.latest_runs(conn, deps.settings.channels, first, last)
        return Reconciliations(runs, await break_store.open_breaks(conn, first, last, BREAKS_MAX))
