"""Rows of `export`, and payments in slices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.exports import PAYMENT_COLUMNS
from data_pipeline.domain.questions import Question

INSERT = text(
    """
    INSERT INTO pipeline.export (id, subject, question, format, requested_by, requested_at)
    VALUES (:id, :subject, :question, :format, :requested_by, :at)
    """
)
# export_due_idx. A row that another worker is about to claim is passed over, not waited for.
CLAIM = text(
    """
    UPDATE pipeline.export SET state = 'running', attempt_count = attempt_count + 1, leased_until = :until
    WHERE id = (
        SELECT id FROM pipeline.export
        WHERE (state = 'due' OR (state = 'running' AND leased_until < :now)) AND attempt_count < :attempts_max
        ORDER BY requested_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING *
    """
)
# Attempts that ended without a word, as when the worker was killed: those that failed with one count in GIVE_BACK.
GIVE_UP = text(
    """
    UPDATE pipeline.export SET state = 'failed', leased_until = NULL, finished_at = :now,
           fault = 'Every attempt was cut off before the file was whole: ask for less at once.'
    WHERE state = 'running' AND leased_until < :now AND attempt_count >= :attempts_max RETURNING id
    """
)
RENEW = text(
    "UPDATE pipeline.export SET leased_until = :until"
    " WHERE id = :id AND state = 'running' AND attempt_count = :attempt"
)
PROGRESS = text(
    "UPDATE pipeline.export SET progress_percent = :percent, row_count = :row_count, leased_until = :until"
    " WHERE id = :id AND state = 'running' AND attempt_count = :attempt"
)
FINISH = text(
    """
    UPDATE pipeline.export SET state = 'done', progress_percent = 100, row_count = :row_count, manifest = :manifest,
           stored_name = :stored_name, finished_at = :at, expires_at = :expires_at, fault = NULL, leased_until = NULL
    WHERE id = :id AND state = 'running' AND attempt_count = :attempt
    """
)
GIVE_BACK = text(
    """
    UPDATE pipeline.export SET state = CASE WHEN attempt_count < :attempts_max THEN 'due' ELSE 'failed' END,
           fault = :fault, leased_until = NULL,
           finished_at = CASE WHEN attempt_count < :attempts_max THEN NULL ELSE CAST(:at AS timestamptz) END
    WHERE id = :id AND state = 'running' AND attempt_count = :attempt
    """
)
READ = text("SELECT * FROM pipeline.export WHERE id = :id")
LATEST = text("SELECT * FROM pipeline.export ORDER BY requested_at DESC, id DESC LIMIT :limit")
EXPIRED = text(
    "SELECT * FROM pipeline.export WHERE state = 'done' AND expires_at < :now ORDER BY expires_at LIMIT 100"
)
FINISHED = text("SELECT * FROM pipeline.export WHERE id = ANY(:ids) AND state = 'done'")
EXPIRE = text("UPDATE pipeline.export SET state = 'expired' WHERE id = ANY(:ids) AND state = 'done'")

_WITHIN = """
    created_at >= :after AND created_at < :before
    AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
    AND (CAST(:channel AS text) IS NULL OR channel = :channel)
    AND (CAST(:method AS text) IS NULL OR method = :method)
    AND (CAST(:currency AS text) IS NULL OR currency = :currency)
"""
COUNT_PAYMENTS = text(f"SELECT count(*) FROM pipeline.fact_payment WHERE {_WITHIN}")  # noqa: S608 - our own words
# fact_payment_latest_idx, from its far end; the last row of a slice is where the next one begins.
PAYMENTS_SLICE = text(
    f"""
    SELECT {", ".join(column.name for column in PAYMENT_COLUMNS)} FROM pipeline.fact_payment
    WHERE {_WITHIN} AND (created_at, payment_id) > (:last_at, :last_id)
    ORDER BY created_at, payment_id LIMIT :limit
    """  # noqa: S608
)


async def insert(conn: AsyncConnection, row: dict[str, Any]) -> None:
    await conn.execute(INSERT, row | {"question": orjson.dumps(row["question"]).decode()})


async def claim(
    conn: AsyncConnection, now: datetime, lease: timedelta, attempts_max: int
) -> dict[str, Any] | None:
    """The oldest export that nobody makes and that has an attempt left, now ours until the lease is over."""
    values = {"now": now, "until": now + lease, "attempts_max": attempts_max}
    row = (await conn.execute(CLAIM, values)).mappings().one_or_none()
    return dict(row) if row else None


async def give_up(conn: AsyncConnection, now: datetime, attempts_max: int) -> list[str]:
    """Fail what has no attempt left and is nobody's any more; the ids."""
    values = {"now": now, "attempts_max": attempts_max}
    return list((await conn.execute(GIVE_UP, values)).scalars())


async def renew(conn: AsyncConnection, row: dict[str, Any], until: datetime) -> bool:
    """False when the export is no longer ours."""
    values = {"id": row["id"], "attempt": row["attempt_count"], "until": until}
    return (await conn.execute(RENEW, values)).rowcount == 1


async def note_progress(
    conn: AsyncConnection, row: dict[str, Any], percent: int, count: int, until: datetime
) -> bool:
    """False when the export is no longer ours."""
    values = {"id": row["id"], "attempt": row["attempt_count"]}
    done = await conn.execute(PROGRESS, values | {"percent": percent, "row_count": count, "until": until})
    return done.rowcount == 1


async def finish(
    conn: AsyncConnection,
    row: dict[str, Any],
    manifest: dict[str, Any],
    stored_name: str,
    at: datetime,
    expires_at: datetime,
) -> bool:
    """Done; False when another attempt owns it by now."""
    values = {
        "id": row["id"],
        "attempt": row["attempt_count"],
        "row_count": manifest["row_count"],
        "stored_name": stored_name,
        "manifest": orjson.dumps(manifest, option=orjson.OPT_UTC_Z).decode(),
        "at": at,
        "expires_at": expires_at,
    }
    return (await conn.execute(FINISH, values)).rowcount == 1


async def give_back(
    conn: AsyncConnection, row: dict[str, Any], fault: str, at: datetime, attempts_max: int
) -> None:
    """Due again, or failed after the last attempt."""
    values = {"id": row["id"], "attempt": row["attempt_count"], "fault": fault, "at": at}
    await conn.execute(GIVE_BACK, values | {"attempts_max": attempts_max})


async def read(conn: AsyncConnection, export_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(READ, {"id": export_id})).mappings().one_or_none()
    return dict(row) if row else None


async def latest(conn: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(LATEST, {"limit": limit})).mappings()]


async def expired(conn: AsyncConnection, now: datetime) -> list[dict[str, Any]]:
    """Exports whose files' time is over."""
    return [dict(row) for row in (await conn.execute(EXPIRED, {"now": now})).mappings()]


async def finished(conn: AsyncConnection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Which of these are done: their files are somebody's."""
    return [dict(row) for row in (await conn.execute(FINISHED, {"ids": list(ids)})).mappings()]


async def expire(conn: AsyncConnection, ids: list[str]) -> None:
    await conn.execute(EXPIRE, {"ids": ids})


async def count_payments(conn: AsyncConnection, question: Question) -> int:
    return int(await conn.scalar(COUNT_PAYMENTS, _within(question)) or 0)


async def payments_after(
    conn: AsyncConnection, question: Question, last_at: datetime, last_id: str, limit: int
) -> list[dict[str, Any]]:
    """The next payments in (created_at, payment_id) order."""
    values = _within(question) | {"last_at": last_at, "last_id": last_id, "limit": limit}
    return [dict(row) for row in (await conn.execute(PAYMENTS_SLICE, values)).mappings()]


def _within(question: Question) -> dict[str, Any]:
    names = ("merchant_id", "channel", "method", "currency")
    return {"after": question.after, "before": question.before} | {
        name: question.filters.get(name) for name in names
    }
