"""Backtests that were asked for: one row each, worked on by whoever claims it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.ids import earliest_id

DRAWN_BEFORE = timedelta(minutes=10)  # its row an id may be drawn by, and clocks apart
ABANDONED_AFTER_S = 120  # without progress: its worker was killed, another begins anew

ADD = text("""
    INSERT INTO risk.backtest (id, rule_set, since, until, asked_by) VALUES (:id, :rule_set, :since, :until, :asked_by)
""")
# Oldest first, by the primary key; a few rows are not done.
CLAIM = text(f"""
    UPDATE risk.backtest SET status = 'running', progressed_at = now(), done = 0
    WHERE id = (SELECT id FROM risk.backtest
                WHERE status = 'queued'
                   OR (status = 'running' AND progressed_at < now() - interval '{ABANDONED_AFTER_S} seconds')
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, rule_set, since, until
""")  # noqa: S608 - our own number
# By assessment_created_at_idx; no further than anybody asks.
COUNT = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM risk.assessment WHERE created_at >= :since AND created_at < :until LIMIT :limit) looked_at
""")
PROGRESS = text("""
    UPDATE risk.backtest SET done = :done, total = :total, progressed_at = now()
    WHERE id = :id AND status = 'running' RETURNING id
""")
FINISH = text("""
    UPDATE risk.backtest SET status = :status, report = CAST(:report AS jsonb), failure = :failure, finished_at = now()
    WHERE id = :id AND status = 'running'
""")
_SHOWN = """
    id, rule_set, since, until, asked_by, asked_at, status, done, total, report, failure, finished_at
"""
FIND = text(f"SELECT {_SHOWN} FROM risk.backtest WHERE id = :id").columns(report=JSONB)  # noqa: S608 - our columns
# By backtest_rule_set_id_idx.
OF_SET = text(f"""
    SELECT {_SHOWN} FROM risk.backtest WHERE rule_set = :rule_set ORDER BY id DESC LIMIT :limit
""").columns(report=JSONB)  # noqa: S608
NEWEST = text(f"SELECT {_SHOWN} FROM risk.backtest ORDER BY id DESC LIMIT :limit").columns(report=JSONB)  # noqa: S608
# Of nothing only on a platform that has nothing.
IS_DONE = text("""
    SELECT EXISTS (SELECT FROM risk.backtest WHERE rule_set = :rule_set AND status = 'done'
                   AND (CAST(report ->> 'payments' AS bigint) > 0 OR NOT EXISTS (SELECT FROM risk.assessment)))
""")

# By the primary key, whose ids follow time: between the first id of a little before and of a little after, for an id is
# drawn before its row is stored; the exact bounds are looked at row by row.
SLICE = text("""
    SELECT id, payment_id, decision, score, model IS NOT NULL AS has_model, CAST(facts AS text) AS facts,
           outcome -> 'degraded' AS degraded, outcome -> 'snoozed' AS snoozed,
           outcome -> 'let_through' IS NOT NULL AS is_let_through
    FROM risk.assessment WHERE id > :after AND id < :before AND created_at >= :since AND created_at < :until
    ORDER BY id LIMIT :limit
""").columns(degraded=JSONB, snoozed=JSONB)

SCORED_SLICE = text("""
    SELECT id, payment_id, merchant_id, decision, score, created_at,
           CAST(facts ->> 'amount_reference_minor' AS bigint) AS amount
    FROM risk.assessment
    WHERE id > :after AND id < :before AND created_at >= :since AND created_at < :until AND model IS NOT NULL
    ORDER BY id LIMIT :limit
""")

# The newest word of each source; one that says fraud outweighs another that does not. A payment is known by its
# assessment, for one that was sent again has another id; by its own id where a label names no assessment. By
# label_assessment_id_idx and label_payment_id_idx.
FRAUDS = text("""
    WITH asked AS (
        SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:payments AS text[])) AS a (id, payment_id)
    ), said AS (
        SELECT a.id, l.source, l.kind, l.labelled_at, l.id AS label_id
        FROM asked a JOIN risk.label l ON l.assessment_id = a.id WHERE l.labelled_at <= :known_at
        UNION ALL
        SELECT a.id, l.source, l.kind, l.labelled_at, l.id
        FROM asked a JOIN risk.label l ON l.payment_id = a.payment_id AND l.assessment_id IS NULL
        WHERE l.labelled_at <= :known_at
    )
    SELECT id, bool_or(kind = 'fraud') AS is_fraud FROM (
        SELECT DISTINCT ON (id, source) id, kind FROM said ORDER BY id, source, labelled_at DESC, label_id DESC) newest
    GROUP BY id
""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A backtest to run, over assessments stored in [since, until)."""

    id: str
    rule_set: str
    since: datetime
    until: datetime


async def add(
    conn: AsyncConnection, backtest_id: str, rule_set: str, since: datetime, until: datetime, asked_by: str
) -> None:
    """Queue a backtest of a stored set."""
    values = {"id": backtest_id, "rule_set": rule_set, "since": since, "until": until, "asked_by": asked_by}
    await conn.execute(ADD, values)


async def claim(conn: AsyncConnection) -> Claimed | None:
    """Take the oldest that nobody works on; None when there is none."""
    row = (await conn.execute(CLAIM)).first()
    return Claimed(row.id, row.rule_set, row.since, row.until) if row else None


async def count(conn: AsyncConnection, since: datetime, until: datetime, at_most: int) -> int:
    """How many assessments were stored in [since, until); `at_most` + 1 stands for more."""
    values = {"since": since, "until": until, "limit": at_most + 1}
    number: int = await conn.scalar(COUNT, values) or 0
    return number


async def progress(conn: AsyncConnection, backtest_id: str, done: int, total: int) -> bool:
    """Say how far it is; False when it is not ours any more."""
    values = {"id": backtest_id, "done": done, "total": total}
    return await conn.scalar(PROGRESS, values) is not None


async def finish(
    conn: AsyncConnection, backtest_id: str, report: Mapping[str, Any] | None, failure: str | None = None
) -> None:
    """Keep the report, or why there is none."""
    await conn.execute(
        FINISH,
        {
            "id": backtest_id,
            "status": "failed" if report is None else "done",
            "report": None if report is None else orjson.dumps(report).decode(),
            "failure": failure,
        },
    )


async def find(conn: AsyncConnection, backtest_id: str) -> dict[str, Any] | None:
    """One backtest, with its report when it is done."""
    row = (await conn.execute(FIND, {"id": backtest_id})).first()
    return _shown(row) if row else None


async def newest(conn: AsyncConnection, rule_set: str | None, limit: int) -> Sequence[dict[str, Any]]:
    """The newest, of one set if given."""
    values: dict[str, Any] = {"limit": limit}
    rows = await (
        conn.execute(OF_SET, values | {"rule_set": rule_set}) if rule_set else conn.execute(NEWEST, values)
    )
    return [_shown(row) for row in rows]


async def is_done(conn: AsyncConnection, rule_set: str) -> bool:
    """Whether a set has a finished backtest."""
    return bool(await conn.scalar(IS_DONE, {"rule_set": rule_set}))


async def slice_of(
    conn: AsyncConnection, after: str, since: datetime, until: datetime, limit: int
) -> Sequence[Any]:
    """Up to `limit` rows of SLICE with ids above `after`."""
    bounds = {
        "after": max(after, earliest_id("asm", since - DRAWN_BEFORE)),
        "before": earliest_id("asm", until + DRAWN_BEFORE),
    }
    values = bounds | {"since": since, "until": until, "limit": limit}
    return (await conn.execute(SLICE, values)).all()


async def scored_slice(
    conn: AsyncConnection, after: str, since: datetime, until: datetime, limit: int
) -> Sequence[Any]:
    """Up to `limit` rows of SCORED_SLICE with ids above `after`."""
    bounds = {
        "after": max(after, earliest_id("asm", since - DRAWN_BEFORE)),
        "before": earliest_id("asm", until + DRAWN_BEFORE),
    }
    values = bounds | {"since": since, "until": until, "limit": limit}
    return (await conn.execute(SCORED_SLICE, values)).all()


async def frauds(conn: AsyncConnection, rows: Sequence[Any], known_at: datetime) -> dict[str, bool]:
    """What is known of stored decisions (rows with id and payment_id), by id: True for fraud, False for legitimate;
    others are left out."""
    values = {"ids": [row.id for row in rows], "payments": [row.payment_id for row in rows]}
    found = await conn.execute(FRAUDS, values | {"known_at": known_at})
    return {row.id: row.is_fraud for row in found}


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "backtest",
        "rule_set": row.rule_set,
        "since": isoformat(row.since),
        "until": isoformat(row.until),
        "asked_by": row.asked_by,
        "asked_at": isoformat(row.asked_at),
        "status": row.status,
        "done": row.done,
        "total": row.total,
        "report": row.report and {"curve": None} | row.report,  # reports of earlier releases have none
        "failure": row.failure,
        "finished_at": isoformat(row.finished_at) if row.finished_at else None,
    }
