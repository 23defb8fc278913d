"""The consumer's side of exactly-once effect: one row per (consumer, stream) that moves with the effect.

The cursor is the highest position of a contiguous run that was applied. It is moved by compare-and-set in the
transaction that applies, so an event has its effect once, whatever the transport delivers and however often.
"""

# ruff: noqa: S608 - the table name is ours, never input

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, MetaData, Table, Text, func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause


def cursor_table(metadata: MetaData) -> Table:
    """`consumer_cursor` in the schema of `metadata`."""
    return Table(
        "consumer_cursor",
        metadata,
        Column("consumer", Text(collation="C"), primary_key=True),
        Column("stream", Text(collation="C"), primary_key=True),
        Column("position", BigInteger, nullable=False, comment="highest contiguous position applied"),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        CheckConstraint("position >= 0", name="position"),
    )


async def read_cursor(conn: AsyncConnection, table: Table, consumer: str, stream: str) -> int:
    """The cursor; a consumer that was never seen begins at 0, with a row."""
    names = {"consumer": consumer, "stream": stream}
    found = await conn.scalar(_statements(table)["read"], names)
    if found is None:
        await conn.execute(_statements(table)["begin"], names)
        return 0
    return int(found)


async def lock_cursor(conn: AsyncConnection, table: Table, consumer: str, stream: str) -> None:
    """Keep every reader of this stream from moving its cursor until the transaction ends."""
    await read_cursor(conn, table, consumer, stream)  # a row to lock
    await conn.execute(_statements(table)["lock"], {"consumer": consumer, "stream": stream})


async def move_cursor(
    conn: AsyncConnection, table: Table, consumer: str, stream: str, *, seen: int, to: int
) -> bool:
    """Move the cursor from `seen` to `to`; False when another reader has moved it (apply nothing then).

    The row stays locked until the transaction ends: a second reader waits here and then sees the new
    position.
    """
    values = {"consumer": consumer, "stream": stream, "seen": seen, "to": to}
    result = await conn.execute(_statements(table)["move"], values)
    return bool(result.rowcount == 1)


@lru_cache(maxsize=16)
def _statements(table: Table) -> dict[str, TextClause]:
    where = "WHERE consumer = :consumer AND stream = :stream"
    return {
        "read": text(f"SELECT position FROM {table.fullname} {where}"),
        "lock": text(f"SELECT FROM {table.fullname} {where} FOR UPDATE"),
        "begin": text(
            f"INSERT INTO {table.fullname} (consumer, stream, position) VALUES (:consumer, :stream, 0) "
            "ON CONFLICT DO NOTHING"
        ),
        "move": text(
            f"UPDATE {table.fullname} SET position = :to, updated_at = now() {where} AND position = :seen"
        ),
    }
