"""What is archived: events to be written, the manifest, and how far each stream is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.archive import ArchivedEvent, ArchiveFile

_FILE = ", ".join(field.name for field in fields(ArchiveFile))
_EVENT = ", ".join(f"e.{field.name}" for field in fields(ArchivedEvent)).replace(
    "e.payload", "e.payload::text"
)

CURSOR = text("SELECT position FROM pipeline.archive_cursor WHERE stream = :stream")
BEGIN = text(
    "INSERT INTO pipeline.archive_cursor (stream, position) VALUES (:stream, 0) ON CONFLICT DO NOTHING"
)
# Compare-and-set: should two archive at once, the second writes the same files and moves nothing.
MOVE = text(
    """
    UPDATE pipeline.archive_cursor SET position = :to, updated_at = now()
    WHERE stream = :stream AND position = :seen
    """
)
NEXT_EVENTS = text(
    f"""
    SELECT {_EVENT} FROM pipeline.stored_event e
    WHERE e.stream = :stream AND e.position > :after AND e.position <= :until ORDER BY e.position
    """  # noqa: S608 - columns of our own dataclass
)
# Replayed from quarantine after their range had been archived. What was `already_applied` was stored before, and is
# archived with its range.
LATE_EVENTS = text(
    f"""
    SELECT {_EVENT} FROM pipeline.quarantine q JOIN pipeline.stored_event e USING (stream, position)
    WHERE q.state = 'replayed' AND q.outcome = 'applied' AND NOT q.is_archived
      AND q.stream = :stream AND q.position <= :until
    ORDER BY e.position LIMIT :limit
    """  # noqa: S608
)
MARK_ARCHIVED = text(
    """
    UPDATE pipeline.quarantine SET is_archived = true
    WHERE stream = :stream AND position = ANY(:positions) AND state = 'replayed'
    """
)
ADD_FILE = text(
    f"INSERT INTO pipeline.archive_file ({_FILE}) VALUES ("  # noqa: S608
    + ", ".join(f":{field.name}" for field in fields(ArchiveFile))
    + ") ON CONFLICT DO NOTHING"
)
FILES = text(
    f"""
    SELECT {_FILE} FROM pipeline.archive_file
    WHERE replaced_at IS NULL AND (CAST(:stream AS text) IS NULL OR stream = :stream)
      AND day >= :first AND day <= :last ORDER BY stream, day, first_position   -- archive_file_partition_idx
    """  # noqa: S608
)
PARTITIONS = text(
    """
    SELECT stream, day, count(*) AS file_count, sum(row_count)::bigint AS row_count,
           sum(byte_count)::bigint AS byte_count, min(first_position) AS first_position,
           max(last_position) AS last_position
    FROM pipeline.archive_file WHERE replaced_at IS NULL AND (CAST(:before AS date) IS NULL OR day < :before)
    GROUP BY stream, day ORDER BY stream, day
    """
)
PROGRESS = text(
    """
    SELECT a.stream, a.position, c.position AS consumed, a.updated_at FROM pipeline.archive_cursor a
    LEFT JOIN pipeline.consumer_cursor c ON c.stream = a.stream AND c.consumer = :consumer ORDER BY a.stream
    """
)
# Positions that are in no file, and rightly: set aside and never stored, or stored later and not archived yet.
OUTSIDE = text(
    """
    SELECT q.stream, count(*) AS outside_count
    FROM pipeline.quarantine q JOIN pipeline.archive_cursor a ON a.stream = q.stream AND q.position <= a.position
    WHERE NOT EXISTS (SELECT FROM pipeline.stored_event e WHERE (e.stream, e.position) = (q.stream, q.position))
       OR (q.state = 'replayed' AND q.outcome = 'applied' AND NOT q.is_archived)
    GROUP BY q.stream
    """
)
# Archived rows and stored rows up to the archive's cursor: equal, unless retention has let partitions go.
STORED = text(
    """
    SELECT count(*) FROM pipeline.stored_event e
    WHERE e.stream = :stream AND e.position <= :until AND e.occurred_at >= :since AND e.occurred_at < :before
      AND NOT EXISTS (SELECT FROM pipeline.quarantine q WHERE (q.stream, q.position) = (e.stream, e.position)
                      AND q.state = 'replayed' AND q.outcome = 'applied' AND NOT q.is_archived)
    """
)
ARCHIVED = text(
    "SELECT coalesce(sum(row_count), 0) FROM pipeline.archive_file WHERE replaced_at IS NULL AND stream = :stream"
)
REPLACE = text(
    "UPDATE pipeline.archive_file SET replaced_at = now() WHERE path = ANY(:paths) AND replaced_at IS NULL"
)
REPLACED = text(
    "SELECT path FROM pipeline.archive_file WHERE replaced_at < :before ORDER BY path LIMIT :limit"
)
KNOWN = text("SELECT path FROM pipeline.archive_file WHERE path = ANY(:paths)")
FORGET = text("DELETE FROM pipeline.archive_file WHERE path = ANY(:paths)")


# The next position that is not archived; positions are dense, so it is found by the primary key.
OLDEST_WAITING = text(
    """
    SELECT min(next.received_at) FROM pipeline.archive_cursor a CROSS JOIN LATERAL (
        SELECT e.received_at FROM pipeline.stored_event e
        WHERE e.stream = a.stream AND e.position > a.position ORDER BY e.position LIMIT 1) next
    """
)


async def oldest_waiting(conn: AsyncConnection) -> datetime | None:
    """When the oldest event came that is not archived yet; None when all are, or nothing was ever archived."""
    found: datetime | None = await conn.scalar(OLDEST_WAITING)
    return found


async def read_cursor(conn: AsyncConnection, stream: str) -> int:
    """Up to which position the stream is archived."""
    await conn.execute(BEGIN, {"stream": stream})
    return int(await conn.scalar(CURSOR, {"stream": stream}) or 0)


async def next_events(conn: AsyncConnection, stream: str, after: int, until: int) -> list[ArchivedEvent]:
    """Stored events of positions (after, until]."""
    result = await conn.execute(NEXT_EVENTS, {"stream": stream, "after": after, "until": until})
    return [ArchivedEvent(*row) for row in result]


async def late_events(conn: AsyncConnection, stream: str, until: int, limit: int) -> list[ArchivedEvent]:
    """Events that came into the store by a replay, at positions that are archived already."""
    result = await conn.execute(LATE_EVENTS, {"stream": stream, "until": until, "limit": limit})
    return [ArchivedEvent(*row) for row in result]


async def record(
    conn: AsyncConnection,
    stream: str,
    files: Sequence[ArchiveFile],
    written: Sequence[int],
    seen: int,
    to: int,
) -> bool:
    """Note files and progress; False (and nothing noted) when somebody else has moved on from `seen`."""
    moved = await conn.execute(MOVE, {"stream": stream, "seen": seen, "to": to})
    if moved.rowcount != 1:
        return False
    for file in files:
        await conn.execute(ADD_FILE, asdict(file))
    await conn.execute(MARK_ARCHIVED, {"stream": stream, "positions": list(written)})
    return True


async def files(conn: AsyncConnection, stream: str | None, first: date, last: date) -> list[ArchiveFile]:
    """The manifest of these days, both included."""
    result = await conn.execute(FILES, {"stream": stream, "first": first, "last": last})
    return [ArchiveFile(*row) for row in result]


async def partitions(conn: AsyncConnection, before: date | None = None) -> list[dict[str, Any]]:
    """One row a stream and day (below `before`): files, rows, bytes, positions."""
    return [dict(row) for row in (await conn.execute(PARTITIONS, {"before": before})).mappings()]


async def progress(conn: AsyncConnection, consumer: str) -> list[dict[str, Any]]:
    """Per stream: archived up to, consumed up to."""
    return [dict(row) for row in (await conn.execute(PROGRESS, {"consumer": consumer})).mappings()]


async def count_stored(
    conn: AsyncConnection, stream: str, until: int, since: datetime, before: datetime
) -> int:
    """Events of [since, before) that should be archived: stored, at most at `until`, not waiting as late ones."""
    values = {"stream": stream, "until": until, "since": since, "before": before}
    return int(await conn.scalar(STORED, values) or 0)


async def outside(conn: AsyncConnection) -> dict[str, int]:
    """Stream -> positions up to the archive's own that are rightly in none of its files."""
    return {row.stream: int(row.outside_count) for row in await conn.execute(OUTSIDE)}


async def count_archived(conn: AsyncConnection, stream: str) -> int:
    """Events of the stream in the files of the manifest."""
    return int(await conn.scalar(ARCHIVED, {"stream": stream}) or 0)


async def replace(conn: AsyncConnection, merged: ArchiveFile, paths: Sequence[str]) -> bool:
    """Put one file in the place of several; False when they are not all there any more."""
    await conn.execute(ADD_FILE, asdict(merged))
    replaced = await conn.execute(REPLACE, {"paths": list(paths)})
    return bool(replaced.rowcount == len(paths))


async def drop(conn: AsyncConnection, paths: Sequence[str]) -> None:
    """Take files out of the manifest; they are deleted a while later, like replaced ones."""
    await conn.execute(REPLACE, {"paths": list(paths)})


async def replaced_before(conn: AsyncConnection, before: datetime, limit: int) -> list[str]:
    return list((await conn.execute(REPLACED, {"before": before, "limit": limit})).scalars())


async def known(conn: AsyncConnection, paths: Sequence[str]) -> set[str]:
    """Which of these the manifest names, replaced ones among them."""
    return set((await conn.execute(KNOWN, {"paths": list(paths)})).scalars())


async def forget(conn: AsyncConnection, paths: Sequence[str]) -> None:
    await conn.execute(FORGET, {"paths": list(paths)})
