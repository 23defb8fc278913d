"""Columns that reports derive of facts: the bucket of a moment, bands of ages and scores, what became of a payment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import ibis
from ibis.expr import types as ir

from data_pipeline.domain.ageing import BANDS, OLDEST
from data_pipeline.domain.questions import Grain, Question, month_starts, offsets
from data_pipeline.store.report_tables import Tables, micros_name

NONE: Final = "none"
DAY_S: Final = 86_400


def age_band(opened_us: Any, end_us: int) -> Any:
    day_us = DAY_S * 1_000_000
    bands = [(end_us - opened_us < (last + 1) * day_us, band) for last, band in BANDS]
    return ibis.cases(*bands, else_=OLDEST)


def answer(attempts: ir.Table) -> Any:
    classes = [
        ((attempts.status_code >= first) & (attempts.status_code < first + 100), f"{first // 100}xx")
        for first in (200, 300, 400, 500)
    ]
    return ibis.cases(
        (attempts.status_code.isnull(), attempts.error.fill_null(NONE)), *classes, else_="other"
    )


def bucket(tables: Tables, facts: ir.Table, question: Question) -> Any:
    """The bucket's key: seconds since 1970, of UTC for hours and months, of local time for days and weeks."""
    clock = question.report.clock
    at = facts[micros_name(clock)] // 1_000_000
    if question.grain is Grain.MONTH:
        return _since(
            tables, facts[clock], [(month, int(month.timestamp())) for month in month_starts(question)]
        )
    local = at + _since(tables, facts[clock], offsets(question))
    match question.grain:
        case Grain.HOUR:
            return at - local % 3600
        case Grain.DAY:
            return local - local % DAY_S
        case _:  # weeks: 1970-01-01 was a Thursday
            return local - (local + 3 * DAY_S) % (7 * DAY_S)


def _since(tables: Tables, clock: Any, steps: Sequence[tuple[datetime, int]]) -> Any:
    """The number of the last step that began by then; the first one holds for everything before it."""
    numbers = [ibis.literal(number, type="int64") for _, number in steps]
    cases = [
        (clock >= tables.moment(start), number)
        for (start, _), number in zip(reversed(steps[1:]), reversed(numbers), strict=False)
    ]
    return ibis.cases(*cases, else_=numbers[0]) if cases else numbers[0]


def score_band(score: Any) -> Any:
    bands = [(score < top, f"{top - 20:02}-{top - 1}") for top in (20, 40, 60, 80)]
    return ibis.cases((score.isnull(), NONE), *bands, else_="80-100")


def approved(p: ir.Table) -> Any:
    return p.approved_us.notnull()


def blocked(p: ir.Table) -> Any:
    return (p.decision == "block") & p.approved_us.isnull()


def declined(p: ir.Table) -> Any:
    return (p.status == "declined") & (p.decision != "block") & p.approved_us.isnull()


def total(column: Any, where: Any = None) -> Any:
    return column.sum(where=where).fill_null(0)
