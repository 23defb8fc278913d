"""A report expression on the live tables: made into SQL here, answered by Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.questions import Grain, Question, micros_of, offsets

KEPT_MAX: Final = 256
"""Statements that a process keeps: about 4 kB each."""

_KEPT: Final[dict[tuple[object, ...], str]] = {}
"""What `sql_of` made, by all that a statement depends on beside the range; names stand where its times are."""


async def read(conn: AsyncConnection, question: Question, limit: int) -> list[dict[str, Any]]:
    """Rows as the engine gives them, at most `limit`, in the order of the question's keys."""
    sql = await asyncio.to_thread(sql_of, question, limit)
    return [dict(row) for row in (await conn.exec_driver_sql(sql)).mappings()]


def sql_of(question: Question, limit: int | None = None) -> str:
    """The statement of the question. One that differs from an earlier question by its range alone is that one's, with
    other times: to make it anew takes a tenth to a third of a second of Python, while no other page is answered."""
    shape = _shape(question, limit)
    if shape is None:
        return compiled(question, limit)
    if (template := _KEPT.get(shape)) is None:
        template = compiled(question, limit)
        for name, written in _times(question).items():
            template = template.replace(written, name)
        if len(_KEPT) >= KEPT_MAX:  # whoever asks so many different ones is not helped by keeping them
            _KEPT.clear()
        _KEPT[shape] = template
    for name, written in _times(question).items():
        template = template.replace(name, written)
    return template


def compiled(question: Question, limit: int | None = None) -> str:
    """The same, made anew. Imports Ibis when it is first asked: a second that no other process pays."""
    from data_pipeline.store.report_expressions import expression_for
    from data_pipeline.store.report_tables import postgres_sql, postgres_tables

    expression = expression_for(postgres_tables(), question)
    return postgres_sql(expression if limit is None else expression.limit(limit))


def _shape(question: Question, limit: int | None) -> tuple[object, ...] | None:
    """All that the statement depends on beside `after` and `before`; None where they are in it in other ways, too."""
    rules = offsets(question) if question.grain is not Grain.TOTAL else []
    if question.grain is Grain.MONTH or len(rules) > 1:
        return None  # the starts of its months are written in it, or when summer time begins
    marks = [mark.strip("'") for mark in (*_times(question), *_times(question).values())]
    if any(mark in text for text in question.filters.values() for mark in marks):
        return None  # somebody filters by what would be taken for a time
    filters = tuple(sorted(question.filters.items()))
    return question.name, question.grain, tuple(ahead for _, ahead in rules), question.by, filters, limit


def _times(question: Question) -> Mapping[str, str]:
    """How the range is written in a statement, by the names that stand for it in a template."""
    return {
        "<after>": f"'{question.after.isoformat()}'",
        "<before>": f"'{question.before.isoformat()}'",
        "<before_us>": str(micros_of(question.before)),
    }
