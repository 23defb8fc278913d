"""Roll-up rows of a time range, what was booked to closed days, and the totals to compare with the gateway's ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.rollups import CorrectionKey, Grain
from data_pipeline.operations.deps import Deps
from data_pipeline.store import facts as fact_store
from data_pipeline.store import rollups as rollup_store

ROWS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which correction lines; None is any."""

    corrects_on: date | None = None
    currency: str | None = None


async def report_rollups(deps: Deps, grain: Grain, after: datetime, before: datetime) -> list[dict[str, Any]]:
    """Rows of [after, before), oldest first, at most ROWS_MAX."""
    async with deps.engine.connect() as conn:
        return await rollup_store.read(conn, grain, after, before, ROWS_MAX)


async def report_corrections(deps: Deps, after: datetime, before: datetime) -> list[dict[str, Any]]:
    """Correction lines booked on the UTC days that begin in [after, before): of two adjacent ranges one has a day's."""
    just_before = timedelta(microseconds=1)
    first, last = (after + timedelta(days=1) - just_before).date(), (before - just_before).date()
    async with deps.engine.connect() as conn:
        return await rollup_store.corrections(conn, first, last, ROWS_MAX)


async def list_corrections(
    deps: Deps, wanted: Wanted, before: CorrectionKey | None, limit: int
) -> list[dict[str, Any]]:
    """Correction lines, the newest first, those before `before`."""
    async with deps.engine.connect() as conn:
        return await rollup_store.latest_corrections(conn, wanted.corrects_on, wanted.currency, before, limit)


async def sum_corrections(deps: Deps, first: date) -> list[dict[str, Any]]:
    """By currency, what was booked to closed days on this UTC day and later."""
    async with deps.engine.connect() as conn:
        return await rollup_store.summed_corrections(conn, first)


async def report_ledger(deps: Deps) -> list[dict[str, Any]]:
    """Money moved by currency as the warehouse knows it: equal to the gateway's ledger when the lag is 0."""
    async with deps.engine.connect() as conn:
        return await fact_store.ledger_totals(conn)
