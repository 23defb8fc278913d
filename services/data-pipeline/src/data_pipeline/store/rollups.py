"""Gold: roll-ups, moved by differences in the transaction of the facts; what reports and console read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.rollups import BucketKey, CorrectionKey, Grain, Measures
from data_pipeline.store.arrays import unnested
from data_pipeline.store.tables import rollup, rollup_correction, rollup_latency

_KEY = tuple(field.name for field in fields(BucketKey))
_MEASURES = tuple(field.name for field in fields(Measures))

# MERGE, not INSERT ON CONFLICT: a difference may be negative, and a CHECK looks at the row proposed for
# insertion even when it ends as an update. The consumer's cursor row admits one writer at a time.
MOVE_ROLLUPS = text(
    f"""
    MERGE INTO pipeline.rollup AS kept USING {unnested(rollup, _KEY + _MEASURES)}
    ON {" AND ".join(f"kept.{name} = r.{name}" for name in _KEY)}
    WHEN MATCHED THEN UPDATE SET {", ".join(f"{name} = kept.{name} + r.{name}" for name in _MEASURES)}
    WHEN NOT MATCHED THEN INSERT ({", ".join(_KEY + _MEASURES)})
        VALUES ({", ".join(f"r.{name}" for name in _KEY + _MEASURES)})
    """  # noqa: S608 - column names of our own
)
MOVE_LATENCY = text(
    f"""
    MERGE INTO pipeline.rollup_latency AS kept
    USING {unnested(rollup_latency, ("bucket_at", "bound_ms", "payment_count"))}
    ON kept.bucket_at = r.bucket_at AND kept.bound_ms = r.bound_ms
    WHEN MATCHED THEN UPDATE SET payment_count = kept.payment_count + r.payment_count
    WHEN NOT MATCHED THEN INSERT (bucket_at, bound_ms, payment_count)
        VALUES (r.bucket_at, r.bound_ms, r.payment_count)
    """  # noqa: S608 - column names of our own
)
_LINE = tuple(field.name for field in fields(CorrectionKey))
BOOK_CORRECTIONS = text(
    f"""
    INSERT INTO pipeline.rollup_correction AS kept ({", ".join(_LINE + _MEASURES)})
    SELECT {", ".join(f"r.{name}" for name in _LINE + _MEASURES)}
    FROM {unnested(rollup_correction, _LINE + _MEASURES)}
    ON CONFLICT ({", ".join(_LINE)}) DO UPDATE SET
        {", ".join(f"{name} = kept.{name} + excluded.{name}" for name in _MEASURES)}
    """  # noqa: S608 - column names of our own
)
CORRECTIONS = text(
    f"""
    SELECT {", ".join(_LINE + _MEASURES)} FROM pipeline.rollup_correction
    WHERE booked_on >= :first AND booked_on <= :last                     -- primary key
    ORDER BY {", ".join(_LINE)} LIMIT :limit
    """  # noqa: S608
)
LATEST_CORRECTIONS = text(
    f"""
    SELECT {", ".join(_LINE + _MEASURES)} FROM pipeline.rollup_correction
    WHERE (CAST(:corrects AS date) IS NULL OR corrects_on = :corrects)
      AND (CAST(:code AS text) IS NULL OR currency = :code)
      AND (CAST(:booked_on AS date) IS NULL
           OR ({", ".join(_LINE)}) < ({", ".join(f":{name}" for name in _LINE)}))
    ORDER BY {", ".join(f"{name} DESC" for name in _LINE)} LIMIT :limit          -- primary key, backwards
    """  # noqa: S608
)
SUMMED_CORRECTIONS = text(
    """
    SELECT currency, count(*) AS line_count, count(DISTINCT corrects_on) AS day_count,
           sum(captured_minor)::bigint AS captured_minor, sum(refunded_minor)::bigint AS refunded_minor,
           max(booked_on) AS newest
    FROM pipeline.rollup_correction WHERE booked_on >= :first GROUP BY currency ORDER BY currency  -- primary key
    """
)
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _MEASURES)
READ_ROLLUPS = text(
    f"""
    SELECT bucket_at, currency, method, channel, decision, {_SUMS}
    FROM pipeline.rollup
    WHERE grain = :grain AND bucket_at >= :after AND bucket_at < :before AND payment_count > 0
    GROUP BY bucket_at, currency, method, channel, decision  -- primary key, by (grain, bucket_at)
    ORDER BY bucket_at, currency, method, channel, decision
    LIMIT :limit
    """  # noqa: S608
)
BY_CURRENCY = text(
    f"""
    SELECT currency, {_SUMS} FROM pipeline.rollup
    WHERE grain = :grain AND bucket_at >= :after AND bucket_at < :before
    GROUP BY currency HAVING sum(payment_count) > 0 ORDER BY currency
    """  # noqa: S608
)
BY_DECISION = text(
    f"""
    SELECT decision, {_SUMS} FROM pipeline.rollup
    WHERE grain = :grain AND bucket_at >= :after AND bucket_at < :before
    GROUP BY decision HAVING sum(payment_count) > 0 ORDER BY decision
    """  # noqa: S608
)
BY_BUCKET = text(
    """
    SELECT bucket_at, sum(payment_count)::bigint AS payment_count,
           sum(approved_count)::bigint AS approved_count, sum(declined_count)::bigint AS declined_count
    FROM pipeline.rollup WHERE grain = :grain AND bucket_at >= :after AND bucket_at < :before
    GROUP BY bucket_at ORDER BY bucket_at
    """
)
HOURS_ARE_COMPLETE = text(
    f"""
    SELECT count(DISTINCT sums) <= 1 FROM (
        SELECT ROW({", ".join(f"coalesce(sum({name}), 0)" for name in _MEASURES)})::text AS sums
        FROM (VALUES ('minute'), ('hour')) AS g (grain) LEFT JOIN pipeline.rollup USING (grain) GROUP BY grain
    ) AS by_grain
    """  # noqa: S608 - column names of our own
)
FORGET_HOURS = text("DELETE FROM pipeline.rollup WHERE grain = 'hour'")
HOURS_FROM_MINUTES = text(
    f"""
    INSERT INTO pipeline.rollup ({", ".join(_KEY + _MEASURES)})
    SELECT 'hour', date_trunc('hour', bucket_at, 'UTC'), currency, method, channel, decision, {_SUMS}
    FROM pipeline.rollup WHERE grain = 'minute' GROUP BY 1, 2, 3, 4, 5, 6
    """  # noqa: S608
)
BY_SLOT = text(
    """
    SELECT date_bin(:slot, bucket_at, :after) AS slot, channel, decision, sum(payment_count)::bigint AS payment_count,
           sum(approved_count)::bigint AS approved_count, sum(declined_count)::bigint AS declined_count
    FROM pipeline.rollup WHERE grain = 'minute' AND bucket_at >= :after AND bucket_at < :before  -- primary key
    GROUP BY 1, 2, 3 HAVING sum(payment_count) > 0
    """
)
LATENCIES_BY_SLOT = text(
    """
    SELECT date_bin(:slot, bucket_at, :after) AS slot, bound_ms, sum(payment_count)::bigint AS payment_count
    FROM pipeline.rollup_latency WHERE bucket_at >= :after AND bucket_at < :before
    GROUP BY 1, 2 HAVING sum(payment_count) > 0
    """
)
# Each is one probe of an index.
NEWEST = text(
    """
    SELECT 'payments by minute' AS name,
           (SELECT max(bucket_at) FROM pipeline.rollup WHERE grain = 'minute') AS bucket_at
    UNION ALL SELECT 'payments by hour', (SELECT max(bucket_at) FROM pipeline.rollup WHERE grain = 'hour')
    UNION ALL SELECT 'payments by day', (SELECT max(bucket_at) FROM pipeline.rollup WHERE grain = 'day')
    UNION ALL SELECT 'times to outcome by minute', (SELECT max(bucket_at) FROM pipeline.rollup_latency)
    UNION ALL SELECT 'accounts by hour',
              (SELECT max(bucket_at) FROM pipeline.rollup_account WHERE period = 'hour')
    """
)
LATENCIES = text(
    """
    SELECT bound_ms, sum(payment_count)::bigint AS payment_count FROM pipeline.rollup_latency
    WHERE bucket_at >= :after GROUP BY bound_ms HAVING sum(payment_count) > 0
    """
)


async def move(conn: AsyncConnection, changes: Mapping[BucketKey, Measures]) -> None:
    """Add the differences to their buckets."""
    columns: dict[str, list[Any]] = {
        **{name: [getattr(key, name) for key in changes] for name in _KEY},
        **{name: [getattr(measures, name) for measures in changes.values()] for name in _MEASURES},
    }
    await conn.execute(MOVE_ROLLUPS, columns)


async def book(conn: AsyncConnection, lines: Mapping[CorrectionKey, Measures]) -> None:
    """Add these differences to their correction lines: the closed day's rows stay."""
    columns: dict[str, list[Any]] = {
        **{name: [getattr(line, name) for line in lines] for name in _LINE},
        **{name: [getattr(measures, name) for measures in lines.values()] for name in _MEASURES},
    }
    await conn.execute(BOOK_CORRECTIONS, columns)


async def corrections(conn: AsyncConnection, first: date, last: date, limit: int) -> list[dict[str, Any]]:
    """Correction lines booked on these days, both included."""
    values = {"first": first, "last": last, "limit": limit}
    return [dict(row) for row in (await conn.execute(CORRECTIONS, values)).mappings()]


async def latest_corrections(
    conn: AsyncConnection,
    corrects_on: date | None,
    currency: str | None,
    before: CorrectionKey | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Correction lines before that key, the newest first: all, of one corrected day, of one currency."""
    values: dict[str, Any] = {name: getattr(before, name, None) for name in _LINE}
    values |= {"corrects": corrects_on, "code": currency, "limit": limit}
    return [dict(row) for row in (await conn.execute(LATEST_CORRECTIONS, values)).mappings()]


async def summed_corrections(conn: AsyncConnection, first: date) -> list[dict[str, Any]]:
    """By currency, the lines booked on that UTC day and later."""
    return [dict(row) for row in (await conn.execute(SUMMED_CORRECTIONS, {"first": first})).mappings()]


async def complete_hours(conn: AsyncConnection) -> bool:
    """Make the rows of hours anew from those of minutes, when they do not count the same payments; True when done.

    A release that knew no hours may have moved minutes and days since. Only for who holds the cursor.
    """
    if await conn.scalar(HOURS_ARE_COMPLETE):
        return False
    await conn.execute(FORGET_HOURS)
    await conn.execute(HOURS_FROM_MINUTES)
    return True


async def move_latency(conn: AsyncConnection, changes: Mapping[tuple[datetime, int], int]) -> None:
    await conn.execute(
        MOVE_LATENCY,
        {
            "bucket_at": [bucket_at for bucket_at, _ in changes],
            "bound_ms": [bound_ms for _, bound_ms in changes],
            "payment_count": list(changes.values()),
        },
    )


async def read(
    conn: AsyncConnection, grain: Grain, after: datetime, before: datetime, limit: int
) -> list[dict[str, Any]]:
    """Rows of [after, before), oldest first."""
    values = {"grain": grain, "after": after, "before": before, "limit": limit}
    return [dict(row) for row in (await conn.execute(READ_ROLLUPS, values)).mappings()]


async def by_currency(
    conn: AsyncConnection, grain: Grain, after: datetime, before: datetime
) -> list[dict[str, Any]]:
    values = {"grain": grain, "after": after, "before": before}
    return [dict(row) for row in (await conn.execute(BY_CURRENCY, values)).mappings()]


async def by_decision(
    conn: AsyncConnection, grain: Grain, after: datetime, before: datetime
) -> list[dict[str, Any]]:
    values = {"grain": grain, "after": after, "before": before}
    return [dict(row) for row in (await conn.execute(BY_DECISION, values)).mappings()]


async def by_bucket(
    conn: AsyncConnection, grain: Grain, after: datetime, before: datetime
) -> list[dict[str, Any]]:
    values = {"grain": grain, "after": after, "before": before}
    return [dict(row) for row in (await conn.execute(BY_BUCKET, values)).mappings()]


async def by_slot(
    conn: AsyncConnection, after: datetime, before: datetime, slot: timedelta
) -> list[dict[str, Any]]:
    """Payments of the minutes in [after, before) by slot, channel and decision."""
    values = {"after": after, "before": before, "slot": slot}
    return [dict(row) for row in (await conn.execute(BY_SLOT, values)).mappings()]


async def latencies_by_slot(
    conn: AsyncConnection, after: datetime, before: datetime, slot: timedelta
) -> list[dict[str, Any]]:
    """Decided payments of the minutes in [after, before) by slot and upper bound of the time that they took."""
    values = {"after": after, "before": before, "slot": slot}
    return [dict(row) for row in (await conn.execute(LATENCIES_BY_SLOT, values)).mappings()]


async def latencies(conn: AsyncConnection, after: datetime) -> dict[int, int]:
    """Payments decided since `after` by upper bound of the time it took, in ms."""
    return {row.bound_ms: row.payment_count for row in await conn.execute(LATENCIES, {"after": after})}


async def newest(conn: AsyncConnection) -> list[dict[str, Any]]:
    """The newest bucket of each roll-up; None of one that is empty."""
    return [dict(row) for row in (await conn.execute(NEWEST)).mappings()]
