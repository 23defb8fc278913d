"""A report over the live tables, and the position that it is true of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.domain.questions import Question, labelled
from data_pipeline.domain.reports import DIMENSIONS, Report, with_ratios
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import NAMES
from data_pipeline.settings import CONSUMER
from data_pipeline.store import positions
from data_pipeline.store import reports as report_store

ROWS_MAX: Final = 10_000
ONE_MOMENT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def run_report(deps: Deps, question: Question, *, rows_max: int = ROWS_MAX) -> dict[str, Any]:
    """Definition, rows and as-of position, all of one moment of the warehouse."""
    async with deps.engine.begin() as conn:
        await conn.execute(ONE_MOMENT)
        as_of = await _as_of(conn)
        rows = await report_store.read(conn, question, rows_max + 1)
    return answer_of(question, rows[:rows_max], has_more=len(rows) > rows_max) | {"as_of": as_of}


async def read_as_of(deps: Deps) -> dict[str, Any]:
    """Per stream: the last event that counts now, its position and when it happened."""
    async with deps.engine.connect() as conn:
        return await _as_of(conn)


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


async def _as_of(conn: AsyncConnection) -> dict[str, Any]:
    known = {row["stream"]: row for row in await positions.read(conn, CONSUMER)}
    return {
        NAMES[stream]: {
            "position": known[stream]["position"] if stream in known else 0,
            "event_at": known[stream]["event_at"] if stream in known else None,
        }
        for stream in STREAMS
    }
