"""A report from its hours: unchanged ones are as they were counted, the others are counted now (ADR 187)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.questions import Question, ask
from data_pipeline.domain.report_hours import (
    ADDED_UP,
    HOUR,
    Stretch,
    added_up,
    by_hour,
    ends,
    hour_of,
    stretches,
    whole_hours,
)
from data_pipeline.operations.deps import Deps
from data_pipeline.store import report_hours as hour_store
from data_pipeline.store import reports as report_store
from platform_kit.logging import get_logger

STRETCH_ROWS_MAX: Final = 50_000
"""Rows of hours that one statement may give: of more the question is counted as it was asked."""
HOUR_ROWS_MAX: Final = 500
"""An hour of more is not kept: reading it would take as long as counting it."""

log = get_logger(__name__)

Hours = dict[datetime, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class AddedUp:
    """The rows that answer, and what was counted for them and may be kept."""

    rows: list[dict[str, Any]]
    question: Question
    seen: hour_store.Counted | None
    new: Hours


async def add_up_hours(conn: AsyncConnection, question: Question) -> AddedUp | None:
    """In a transaction that sees one moment. None when its hours have more rows than it is worth."""
    asked, whole = by_hour(question), whole_hours(question)
    seen = await hour_store.counted(conn, asked, whole) if whole else None
    rows = [row for hour in seen.rows.values() for row in hour] if seen else []
    missing = [hour for hour in whole.hours if hour not in seen.rows] if whole and seen else []
    new: Hours = {}
    for stretch in stretches(missing):
        counted = await _count(conn, asked, stretch)
        if counted is None:
            return None
        wanted = {hour: counted.get(hour, []) for hour in missing if stretch.after <= hour < stretch.before}
        new |= wanted
        rows += [row for hour in wanted.values() for row in hour]
    for end in ends(question, whole):
        part = await _count(conn, asked, end)
        if part is None:
            return None
        rows += [row for hour in part.values() for row in hour]
    return AddedUp(added_up(question, rows), asked, seen, new)


async def keep_hours(deps: Deps, found: AddedUp) -> int:
    """Keep what was counted, for who asks next; how many hours. An answer does not fail for want of that."""
    new = {hour: rows for hour, rows in found.new.items() if len(rows) <= HOUR_ROWS_MAX}
    if not new or found.seen is None:
        return 0
    try:
        async with deps.engine.begin() as conn:
            await hour_store.keep(conn, found.question, found.seen, new)
    except SQLAlchemyError as error:
        log.warning("hours of a report not kept", report=found.question.name, error=repr(error))
        return 0
    return len(new)


def prepare_statements() -> None:
    """Make the statements of the plain questions. With the import of Ibis that is seconds of a process, for which the
    first who opens a report would wait."""
    now = datetime.now(UTC)
    for name in sorted(ADDED_UP):
        report_store.sql_of(by_hour(ask(name, now - HOUR, now)), STRETCH_ROWS_MAX + 1)


async def _count(conn: AsyncConnection, asked: Question, stretch: Stretch) -> Hours | None:
    rows = await report_store.read(
        conn, replace(asked, after=stretch.after, before=stretch.before), STRETCH_ROWS_MAX + 1
    )
    if len(rows) > STRETCH_ROWS_MAX:
        return None
    found: defaultdict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[hour_of(row)].append(row)
    return found
