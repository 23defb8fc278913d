"""Which journal took which back, as rows of a commit (a `RowKind`).

A journal's own row may not be locked (that takes the privilege to change it), so an advisory lock on its id stands for
it. The unique index on `reverses` is the last line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.writes import Writes

LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('reverse ' || id, 0)) FROM"
    " (SELECT id FROM unnest(CAST(:ids AS text[])) AS wanted (id) ORDER BY hashtextextended('reverse ' || id, 0)) AS o"
)
FIND = text("SELECT reverses, id FROM payments.journal WHERE reverses = ANY(:ids)")


class Reversal(NamedTuple):
    """`id` is the journal that was taken back; `by` the one that did."""

    id: str
    by: str


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Reversal]:
    """The reversals of these journals. Locked in one statement and read in the next, which sees what came before."""
    parameters = {"ids": list(ids)}
    await conn.execute(LOCK, parameters)
    return {row.reverses: Reversal(row.reverses, row.id) for row in await conn.execute(FIND, parameters)}


def insert(writes: Writes, rows: Iterable[Reversal]) -> None:
    """Nothing of its own: the reversing journal's row says it."""


def update(writes: Writes, rows: Iterable[Reversal]) -> None:
    """A reversal never changes."""
