"""Hours of reports: how often facts changed in them, and what was counted when they had changed so often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.questions import Question
from data_pipeline.domain.report_hours import COUNTED_TABLES, FactHour, Stretch

EVERYTHING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The hour that stands for all of a table's."""

# Sorted by the caller: two writers lock in one order.
MARK = text(
    """
    INSERT INTO pipeline.fact_hour AS kept (name, hour_at)
    SELECT r.name, r.hour_at FROM unnest(CAST(:names AS text[]), CAST(:hours AS timestamptz[])) AS r (name, hour_at)
    ON CONFLICT (name, hour_at) DO UPDATE SET changes = kept.changes + 1
    """
)
CHANGES = text(
    """
    SELECT hour_at, changes FROM pipeline.fact_hour
    WHERE name = :name AND (hour_at = :everything OR (hour_at >= :after AND hour_at < :before))
    """
)
COUNTED = text(
    """
    SELECT hour_at, changes, rows::text AS rows FROM pipeline.report_hour
    WHERE shape = :shape AND hour_at >= :after AND hour_at < :before AND renewals = :renewals
    """
)
KEEP = text(
    """
    INSERT INTO pipeline.report_hour AS kept (shape, hour_at, renewals, changes, rows)
    SELECT :shape, r.hour_at, :renewals, r.changes, r.rows::json
    FROM unnest(CAST(:hours AS timestamptz[]), CAST(:changes AS bigint[]), CAST(:rows AS text[]))
         AS r (hour_at, changes, rows)
    ON CONFLICT (shape, hour_at) DO UPDATE
    SET renewals = excluded.renewals, changes = excluded.changes, rows = excluded.rows, made_at = now()
    """
)
FORGET = text("DELETE FROM pipeline.report_hour WHERE made_at < :before")  # report_hour_made_idx


@dataclass(frozen=True, slots=True)
class Counted:
    """Hours of a question that are as they were when they were counted, and how often each hour has changed."""

    rows: Mapping[datetime, list[dict[str, Any]]]
    renewals: int
    changes: Mapping[datetime, int]


def shape_of(question: Question) -> str:
    """What its rows depend on beside the hour."""
    return "/".join((question.name, *question.by))


async def mark(conn: AsyncConnection, hours: Sequence[FactHour]) -> None:
    """Facts of these hours change, in the transaction that changes them. Sorted."""
    if hours:
        values = {"names": [one.table for one in hours], "hours": [one.hour_at for one in hours]}
        await conn.execute(MARK, values)


async def renew(conn: AsyncConnection, names: Sequence[str] = COUNTED_TABLES) -> None:
    """Everything that was counted of these tables is counted anew."""
    await mark(conn, [FactHour(name, EVERYTHING) for name in sorted(names)])


async def counted(conn: AsyncConnection, question: Question, hours: Stretch) -> Counted:
    """What is known of these hours, as this transaction sees it."""
    values = {"after": hours.after, "before": hours.before}
    facts = {**values, "name": question.report.facts, "everything": EVERYTHING}
    changes = {row.hour_at: row.changes for row in await conn.execute(CHANGES, facts)}
    renewals = changes.pop(EVERYTHING, 0)
    names = _columns(question)
    kept = await conn.execute(COUNTED, {**values, "shape": shape_of(question), "renewals": renewals})
    return Counted(
        {
            row.hour_at: [dict(zip(names, one, strict=True)) for one in orjson.loads(row.rows)]
            for row in kept
            if row.changes == changes.get(row.hour_at, 0)
        },
        renewals,
        changes,
    )


async def keep(
    conn: AsyncConnection, question: Question, seen: Counted, rows: Mapping[datetime, list[dict[str, Any]]]
) -> None:
    """These hours were counted when what was `seen` held."""
    names, hours = _columns(question), sorted(rows)
    await conn.execute(
        KEEP,
        {
            "shape": shape_of(question),
            "renewals": seen.renewals,
            "hours": hours,
            "changes": [seen.changes.get(hour, 0) for hour in hours],
            "rows": [
                orjson.dumps([[_plain(row[name]) for name in names] for row in rows[hour]]).decode()
                for hour in hours
            ],
        },
    )


async def forget(conn: AsyncConnection, before: datetime) -> None:
    """Drop what was counted before then: whoever asks for it again waits once."""
    await conn.execute(FORGET, {"before": before})


def _columns(question: Question) -> list[str]:
    return [*question.keys, *(one.name for one in question.report.measures)]


def _plain(value: Any) -> Any:
    """Sums come as decimals."""
    return value if isinstance(value, str) else int(value)
