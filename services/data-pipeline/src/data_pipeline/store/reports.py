"""A report expression on the live tables: made into SQL here, answered by Postgres."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.questions import Question


async def read(conn: AsyncConnection, question: Question, limit: int) -> list[dict[str, Any]]:
    """Rows as the engine gives them, at most `limit`, in the order of the question's keys."""
    sql = await asyncio.to_thread(sql_of, question, limit)
    return [dict(row) for row in (await conn.exec_driver_sql(sql)).mappings()]


def sql_of(question: Question, limit: int | None = None) -> str:
    """The statement of the question. Imports Ibis when it is first asked: a second that no other process pays."""
    from data_pipeline.store.report_expressions import expression_for
    from data_pipeline.store.report_tables import postgres_sql, postgres_tables

    expression = expression_for(postgres_tables(), question)
    return postgres_sql(expression if limit is None else expression.limit(limit))
