"""A report, and the position that it is true of: over the live tables, or over the snapshot, by the setting ENGINE."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.clients.history import Engine, open_history
from data_pipeline.domain.questions import Question, labelled
from data_pipeline.domain.report_definition import DIMENSIONS, Report, with_ratios
from data_pipeline.domain.report_hours import adds_up
from data_pipeline.domain.snapshot import Manifest, told
from data_pipeline.operations.add_up_hours import add_up_hours, keep_hours
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import NAMES
from data_pipeline.settings import CONSUMER
from data_pipeline.store import positions
from data_pipeline.store import replay as replay_store
from data_pipeline.store import reports as report_store
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.problems import Problem

ROWS_MAX: Final = 10_000
_ONE_MOMENT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_ONE_AT_A_TIME: Final = threading.Lock()


class NoSnapshot(Problem):
    status, code, title = 503, "no-snapshot", "There is no snapshot of the facts yet"


async def run_report(deps: Deps, question: Question, *, rows_max: int = ROWS_MAX) -> dict[str, Any]:
    """Definition, rows and as-of position, all of one moment of the warehouse. Raises NoSnapshot."""
    if deps.settings.engine != "postgres":
        return await run_over_snapshot(deps, question, rows_max=rows_max)
    return await run_live_report(deps, question, rows_max=rows_max)


async def run_live_report(deps: Deps, question: Question, *, rows_max: int = ROWS_MAX) -> dict[str, Any]:
    """The same over the live tables, whatever the setting."""
    added = None
    async with deps.engine.begin() as conn:
        await at_one_moment(conn)
        as_of = await as_of_here(conn)
        if adds_up(question):
            added = await add_up_hours(conn, question)
        rows = added.rows if added else await report_store.read(conn, question, rows_max + 1)
    if added:
        await keep_hours(deps, added)
    source = {"engine": "postgres", "as_of": as_of, "snapshot": None}
    return answer_of(question, rows[:rows_max], has_more=len(rows) > rows_max) | source


async def run_over_snapshot(deps: Deps, question: Question, *, rows_max: int = ROWS_MAX) -> dict[str, Any]:
    """The same expression over the snapshot. `as_of` is the snapshot's; days that were not published are told."""
    manifest = await deps.snapshots.manifest()
    if manifest is None or question.report.facts not in manifest.schemas:
        raise NoSnapshot("The worker publishes the first one within minutes of the setting; ask again then.")
    rows = await asyncio.to_thread(_history_rows, deps, manifest, question, rows_max + 1)
    snapshot = {
        "version": manifest.version,
        "made_at": manifest.made_at,
        "blocked": told(manifest.blocked),
        "waiting": told(manifest.waiting),
    }
    source = {"engine": deps.settings.engine, "as_of": manifest.as_of, "snapshot": snapshot}
    return answer_of(question, rows[:rows_max], has_more=len(rows) > rows_max) | source


def _history_rows(deps: Deps, manifest: Manifest, question: Question, limit: int) -> list[dict[str, Any]]:
    """One report at a time in a process: an engine's memory is bounded by one."""
    from data_pipeline.store.report_expressions import expression_for
    from data_pipeline.store.report_tables import history_tables

    engine, store = Engine(deps.settings.engine), deps.snapshots
    with _ONE_AT_A_TIME:
        history = open_history(engine, memory_limit=f"{deps.settings.engine_memory_mb}MB")
        try:
            tables = history_tables(
                lambda name: history.files(
                    name,
                    [store.location(path) for path in manifest.files(name)],
                    list(snapshot_store.columns_of(name)),
                )
            )
            return history.rows(expression_for(tables, question).limit(limit))
        finally:
            if engine is Engine.DUCKDB:  # Spark's session is the process's, and takes seconds to start
                history.close()


async def at_one_moment(conn: AsyncConnection) -> None:
    """As the first thing of a transaction: all that it reads is of one moment, and on one side of a replay's swap."""
    await conn.execute(_ONE_MOMENT)
    await replay_store.hold(conn)


async def read_as_of(deps: Deps) -> dict[str, Any]:
    """Per stream: the last event that counts now, its position and when it happened."""
    async with deps.engine.connect() as conn:
        return await as_of_here(conn)


def answer_of(question: Question, rows: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """The one shape that every report has, of the rows of any engine."""
    report = question.report
    return {
        "report": report.name,
        "title": report.title,
        "meaning": report.meaning,
        "from": question.after,
        "to": question.before,
        "time_zone": question.zone,
        "grain": question.grain,
        "by": list(question.by),
        "filters": dict(question.filters),
        "columns": [asdict(column) for column in report.columns(question.keys)],
        "rows": [with_ratios(report, labelled(row, question)) for row in rows],
        "has_more": has_more,
    }


def definition(report: Report) -> dict[str, Any]:
    """What the catalogue says of a report."""
    return {
        "report": report.name,
        "title": report.title,
        "meaning": report.meaning,
        "facts": report.facts,
        "clock": report.clock,
        "has_grain": report.has_grain,
        "by": {option: DIMENSIONS[option] for option in report.options},
        "filters": list(report.filters),
        "columns": [asdict(column) for column in report.columns(report.dimensions)],
    }


async def as_of_here(conn: AsyncConnection) -> dict[str, Any]:
    """The same within a transaction."""
    known = {row["stream"]: row for row in await positions.read(conn, CONSUMER)}
    return {
        NAMES[stream]: {
            "position": known[stream]["position"] if stream in known else 0,
            "event_at": known[stream]["event_at"] if stream in known else None,
        }
        for stream in STREAMS
    }
