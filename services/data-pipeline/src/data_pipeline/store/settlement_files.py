"""Channel files as they came: whole, with their hash."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# The same file again is no new file; only the time at which it was last seen moves on.
KEEP_FILE = text(
    """
    INSERT INTO pipeline.settlement_file AS kept
        (id, channel, settled_on, sha256, raw, byte_count, line_count, fault, fault_line, fault_detail,
         fetched_at)
    VALUES (:id, :channel, :settled_on, :sha256, :raw, :byte_count, :line_count, :fault, :fault_line,
            :fault_detail, :fetched_at)
    ON CONFLICT (channel, settled_on, sha256) DO UPDATE
    SET fetched_at = excluded.fetched_at, raw = excluded.raw
    RETURNING id
    """
)
# A day that is still open gets a new file at every run: keep the bytes of the newest two, and every hash.
LET_GO_OF_SUPERSEDED = text(
    """
    UPDATE pipeline.settlement_file SET raw = NULL
    WHERE channel = :channel AND settled_on = :settled_on AND raw IS NOT NULL AND id NOT IN (
        SELECT id FROM pipeline.settlement_file
        WHERE channel = :channel AND settled_on = :settled_on ORDER BY fetched_at DESC, id DESC LIMIT 2)
    """
)
NEWEST_ACCEPTED = text(
    """
    SELECT raw FROM pipeline.settlement_file
    WHERE channel = :channel AND settled_on = :settled_on AND fault IS NULL AND raw IS NOT NULL
    ORDER BY fetched_at DESC, id DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file and what reading it said: `line_count` when it was taken, `fault` when it was refused."""

    id: str
    channel: str
    settled_on: date
    sha256: str
    raw: bytes
    byte_count: int
    line_count: int | None
    fault: str | None
    fault_line: int | None
    fault_detail: str | None
    fetched_at: datetime


async def keep(conn: AsyncConnection, file: KeptFile) -> str:
    """Store the file; the id under which it (or the same file before) is kept."""
    file_id: Any = await conn.scalar(KEEP_FILE, asdict(file))
    await conn.execute(LET_GO_OF_SUPERSEDED, {"channel": file.channel, "settled_on": file.settled_on})
    return str(file_id)


async def newest_accepted(conn: AsyncConnection, channel: str, settled_on: date) -> bytes | None:
    """The last file of that day that was taken, if one was."""
    found: bytes | None = await conn.scalar(NEWEST_ACCEPTED, {"channel": channel, "settled_on": settled_on})
    return found
