"""Rows of one partition, which partitions are dirty, and what was found of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import JSON, Boolean, Date, DateTime, Integer, LargeBinary, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.quality import Examined, failure_document
from data_pipeline.domain.snapshot import BREAKS, CLOCKS, KEYS, Partition
from data_pipeline.store import tables

SLICE_ROWS: Final = 20_000
UNREAD: Final = (JSON, LargeBinary)
"""Types of columns that no report reads: they stay in the warehouse."""

# Sorted by the caller: two writers lock in one order.
MARK = text(
    """
    INSERT INTO pipeline.dirty_partition AS kept (name, day)
    SELECT r.name, r.day FROM unnest(CAST(:names AS text[]), CAST(:days AS date[])) AS r (name, day)
    ON CONFLICT (name, day) DO UPDATE SET marks = kept.marks + 1
    """
)
DIRTY = text("SELECT name, day, marks FROM pipeline.dirty_partition ORDER BY name, day")
# What was marked again since the snapshot read it stays dirty.
CLEAN = text(
    """
    DELETE FROM pipeline.dirty_partition AS d
    USING unnest(CAST(:names AS text[]), CAST(:days AS date[]), CAST(:marks AS bigint[])) AS r (name, day, marks)
    WHERE d.name = r.name AND d.day = r.day AND d.marks = r.marks
    """
)
DAYS = {
    name: text(f"SELECT DISTINCT CAST({clock} AT TIME ZONE 'UTC' AS date) AS day FROM pipeline.{name}")  # noqa: S608
    for name, clock in CLOCKS.items()
}
DIGESTS = text(
    f"""
    SELECT CAST(opened_at AT TIME ZONE 'UTC' AS date) AS day,
           md5(string_agg(md5(b::text), '' ORDER BY id)) AS digest
    FROM pipeline.{BREAKS} b GROUP BY 1
    """  # noqa: S608
)
ROLLUP_OF_DAY = text(
    """
    WITH detail AS (
        SELECT currency, method, coalesce(channel, 'none') AS channel, coalesce(decision, 'none') AS decision,
               count(*)::bigint AS payment_count, count(approved_at)::bigint AS approved_count,
               (count(*) FILTER (WHERE status = 'declined'))::bigint AS declined_count,
               sum(amount_minor)::bigint AS amount_minor, sum(captured_minor)::bigint AS captured_minor,
               sum(refunded_minor)::bigint AS refunded_minor
        FROM pipeline.fact_payment WHERE created_at >= :after AND created_at < :before  -- fact_payment_latest_idx
        GROUP BY 1, 2, 3, 4
    ), booked AS (
        SELECT currency, method, channel, decision, payment_count, approved_count, declined_count, amount_minor,
               captured_minor, refunded_minor
        FROM pipeline.rollup WHERE grain = 'day' AND bucket_at = :after
        UNION ALL
        SELECT currency, method, channel, decision, payment_count, approved_count, declined_count, amount_minor,
               captured_minor, refunded_minor
        FROM pipeline.rollup_correction WHERE corrects_on = CAST(:day AS date)  -- rollup_correction_corrects_idx
    ), summed AS (
        SELECT currency, method, channel, decision, sum(payment_count)::bigint, sum(approved_count)::bigint,
               sum(declined_count)::bigint, sum(amount_minor)::bigint, sum(captured_minor)::bigint,
               sum(refunded_minor)::bigint
        FROM booked GROUP BY 1, 2, 3, 4 HAVING sum(payment_count) <> 0
    )
    SELECT DISTINCT currency, method, channel, decision FROM (
        (SELECT * FROM detail EXCEPT SELECT * FROM summed) UNION ALL (SELECT * FROM summed EXCEPT SELECT * FROM detail)
    ) AS differing ORDER BY 1, 2, 3, 4
    """
)
TORN_JOURNALS_OF_DAY = text(
    """
    SELECT journal_id FROM pipeline.fact_transfer
    WHERE occurred_at >= :after AND occurred_at < :before
    GROUP BY journal_id HAVING count(*) <> max(line) + 1 ORDER BY journal_id
    """
)
KEEP = text(
    """
    INSERT INTO pipeline.quality_check
        (name, day, checked_at, position, row_count, failed_count, is_blocked, failures)
    VALUES (:name, :day, :at, :position, :row_count, :failed_count, :is_blocked, CAST(:failures AS json))
    """
)
# The last look at a partition stays: it is what is known of it.
FORGET = text(
    """
    DELETE FROM pipeline.quality_check old WHERE old.checked_at < :before AND EXISTS (
        SELECT FROM pipeline.quality_check newer
        WHERE (newer.name, newer.day) = (old.name, old.day) AND newer.id > old.id   -- quality_check_latest_idx
    )
    """
)

_LOOK = "name, day, checked_at, position, row_count, failed_count, is_blocked, failures"
LATEST_LOOKS = text(
    f"""
    SELECT DISTINCT ON (name, day) {_LOOK} FROM pipeline.quality_check
    WHERE CAST(:name AS text) IS NULL OR name = :name
    ORDER BY name, day DESC, id DESC                                    -- quality_check_latest_idx
    """  # noqa: S608 - columns of our own
)
LOOKS = text(
    f"SELECT {_LOOK} FROM pipeline.quality_check WHERE name = :name ORDER BY id DESC LIMIT :limit"  # noqa: S608
)
WORST_BY_DAY = text(
    """
    SELECT name, CAST(checked_at AT TIME ZONE 'UTC' AS date) AS looked_on, count(*) AS look_count,
           min(CASE WHEN row_count = 0 THEN 1.0 ELSE 1.0 - failed_count::float / row_count END)::float AS score,
           bool_or(is_blocked) AS is_blocked
    FROM pipeline.quality_check WHERE checked_at >= :after GROUP BY 1, 2 ORDER BY 1, 2  -- quality_check_time_idx
    """
)


def columns_of(name: str) -> dict[str, str]:
    """A table's columns as files know types: text, integer, boolean, time, date."""
    return {
        column.name: _type(column.type)
        for column in _table(name).columns
        if not isinstance(column.type, UNREAD)
    }


async def mark(conn: AsyncConnection, partitions: Sequence[Partition]) -> None:
    """These days changed, in the transaction that changes them. Sorted."""
    if partitions:
        names, days = [one.table for one in partitions], [one.day for one in partitions]
        await conn.execute(MARK, {"names": names, "days": days})


async def mark_all(conn: AsyncConnection) -> None:
    """Every day that has facts: they were built anew."""
    await mark(conn, sorted(await every_partition(conn)))


async def dirty(conn: AsyncConnection) -> dict[Partition, int]:
    """Partition -> its marks as this transaction sees them."""
    return {Partition(row.name, row.day): row.marks for row in await conn.execute(DIRTY)}


async def clean(conn: AsyncConnection, seen: Mapping[Partition, int]) -> None:
    """Take away marks that were seen, of partitions that were not marked again."""
    if seen:
        await conn.execute(
            CLEAN,
            {
                "names": [one.table for one in seen],
                "days": [one.day for one in seen],
                "marks": list(seen.values()),
            },
        )


async def every_partition(conn: AsyncConnection) -> set[Partition]:
    """Every table's days. A scan of each: for a first snapshot, and after a replay."""
    return {Partition(name, day) for name in CLOCKS for day in (await conn.execute(DAYS[name])).scalars()}


async def break_digests(conn: AsyncConnection) -> dict[date, str]:
    """Day -> a digest of the breaks opened on it, whoever changed one how."""
    return {row.day: row.digest for row in await conn.execute(DIGESTS)}


async def count(conn: AsyncConnection, partition: Partition) -> int:
    """How many rows a partition has."""
    clock = CLOCKS[partition.table]
    statement = text(
        f"SELECT count(*) FROM pipeline.{partition.table} WHERE {clock} >= :after AND {clock} < :before"  # noqa: S608
    )
    return int(await conn.scalar(statement, _range(partition.day)) or 0)


async def rows(conn: AsyncConnection, partition: Partition) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """A partition's rows in the order of their keys, in slices, each row in the order of `columns_of`."""
    clock, keys = CLOCKS[partition.table], ", ".join(KEYS[partition.table])
    statement = text(
        f"""
        SELECT {", ".join(columns_of(partition.table))} FROM pipeline.{partition.table}
        WHERE {clock} >= :after AND {clock} < :before ORDER BY {keys}
        """  # noqa: S608 - names of our own
    )
    async with conn.stream(statement, _range(partition.day)) as result:
        async for slice_ in result.partitions(SLICE_ROWS):
            yield slice_


async def rollup_differences(conn: AsyncConnection, day: date) -> list[str]:
    """Keys of the day's roll-up, corrections among them, that are not the sum of its payments."""
    return [" ".join(row) for row in await conn.execute(ROLLUP_OF_DAY, {**_range(day), "day": day})]


async def torn_journals(conn: AsyncConnection, day: date) -> list[str]:
    """Journals of the day that lack a line."""
    return list((await conn.execute(TORN_JOURNALS_OF_DAY, _range(day))).scalars())


async def keep(conn: AsyncConnection, looks: Iterable[Examined], position: int, at: datetime) -> None:
    """Write down what was found."""
    for one in looks:
        await conn.execute(
            KEEP,
            {
                "name": one.table,
                "day": one.day,
                "at": at,
                "position": position,
                "row_count": one.row_count,
                "failed_count": one.failed_count,
                "is_blocked": one.is_blocked,
                "failures": orjson.dumps([failure_document(failure) for failure in one.failures]).decode(),
            },
        )


async def forget(conn: AsyncConnection, before: datetime) -> None:
    """Drop looks from before then that a later one of the same partition has replaced."""
    await conn.execute(FORGET, {"before": before})


def _range(day: date) -> dict[str, datetime]:
    after = datetime.combine(day, time(), UTC)
    return {"after": after, "before": after + timedelta(days=1)}


def _table(name: str) -> Table:
    return tables.metadata.tables[f"{tables.SCHEMA}.{name}"]


def _type(given: object) -> str:
    if isinstance(given, DateTime):
        return "time"
    if isinstance(given, Date):
        return "date"
    if isinstance(given, Boolean):
        return "boolean"
    return "integer" if isinstance(given, Integer) else "text"


async def latest_looks(conn: AsyncConnection, name: str | None = None) -> list[dict[str, Any]]:
    """The last look at each partition, newest day first: of all tables, or of one."""
    return [dict(row) for row in (await conn.execute(LATEST_LOOKS, {"name": name})).mappings()]


async def looks(conn: AsyncConnection, name: str, limit: int) -> list[dict[str, Any]]:
    """Looks at a table's partitions, newest first."""
    return [dict(row) for row in (await conn.execute(LOOKS, {"name": name, "limit": limit})).mappings()]


async def worst_by_day(conn: AsyncConnection, after: datetime) -> list[dict[str, Any]]:
    """Of every table and day of looking: the worst score, and whether something was blocked."""
    return [dict(row) for row in (await conn.execute(WORST_BY_DAY, {"after": after})).mappings()]
