"""Events in Postgres, scrubbed of people: the outboxes, the event store, and what is in quarantine.

The services may not change any of it, by grant, and shall not: this is an operator's act, under a role that owns the
tables. Each batch is a range of positions and a transaction. Whatever stops it, it is begun again and finds what was
done to be clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from platform_cli.privacy.clear_fields import MARKS, Tokens, data_of, payments_of, scrubbed

BATCH: Final = 5_000  # positions: about 10 MB of events


@dataclass(frozen=True, slots=True)
class Kept:
    """A table of events: `position`, a number or else a text, leads through it, within each `stream` where it has
    several; an event's data is the whole `column`, or its `member`."""

    name: str
    position: str
    column: str
    type: str
    member: str | None = None
    streams: bool = False
    is_numbered: bool = True

    @property
    def position_type(self) -> str:
        return "bigint" if self.is_numbered else "text"


# The outboxes first: what is fetched again from there is clean from then on.
TABLES: Final = (
    Kept("payments.outbox_event", "position", "data", "jsonb"),
    Kept("risk.outbox_event", "position", "data", "jsonb"),
    Kept("payments.quarantined_event", "event_id", "envelope", "jsonb", member="data", is_numbered=False),
    Kept("risk.quarantined_event", "event_id", "envelope", "jsonb", member="data", is_numbered=False),
    Kept("pipeline.stored_event", "position", "payload", "json", member="data", streams=True),
    Kept("pipeline.quarantine", "id", "payload", "text", member="data"),
)


@dataclass(slots=True)
class Scrubbed:
    """One place: events that were read, and that were cleared; `kept` ones may tell of people and stayed, because they
    are no JSON, or because somebody has still to read them."""

    place: str
    read: int = 0
    cleared: int = 0
    kept: int = 0


class StillSealing(Exception):
    """Payments of an older release are not sealed yet, so their payers have no tokens."""


Progress = Callable[[Scrubbed, int, int], None]
"""Called after each batch with the place, the position that was reached, and the last one."""

UNSEALED = """
    SELECT EXISTS (SELECT FROM payments.payment
                   WHERE jsonb_typeof(customer) = 'object' AND (customer ->> 'subject') IS NULL)"""
TOKENS = """
    SELECT id, customer ->> 'subject' AS token FROM payments.payment
    WHERE id = ANY($1::text[]) AND jsonb_typeof(customer) = 'object' AND customer ->> 'subject' IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Payers:
    """Who paid what, asked of the gateway's own table."""

    connection: asyncpg.Connection[Any]

    @classmethod
    async def of(cls, connections: Sequence[asyncpg.Connection[Any]]) -> Payers:
        """From the database that has them. Raises StillSealing while that may change."""
        for connection in connections:
            if await _has(connection, "payments.payment"):
                if await connection.fetchval(UNSEALED):
                    raise StillSealing("Payments are still being sealed: `privacy.seal` runs every minute.")
                return cls(connection)
        raise StillSealing("No database with payments.payment was named: who paid is not known.")

    async def tokens(self, texts: Iterable[str], member: str | None) -> Tokens:
        """Payment -> token, of the payments that these events tell of in clear."""
        told = (data_of(text, member) for text in texts)
        wanted = sorted({payment for data in told if data for payment in payments_of(data)})
        if not wanted:
            return {}
        return {row["id"]: row["token"] for row in await self.connection.fetch(TOKENS, wanted)}


async def scrub_postgres(
    connection: asyncpg.Connection[Any], payers: Payers, *, dry_run: bool, progress: Progress
) -> list[Scrubbed]:
    """Each table of events that this database has."""
    return [
        await _scrub_table(connection, payers, table, dry_run, progress)
        for table in TABLES
        if await _has(connection, table.name)
    ]


async def connected(url: str) -> asyncpg.Connection[Any]:
    """As a role that shall see all rows: one that a policy hides some from is refused, rather than given the others."""
    return await asyncpg.connect(url, server_settings={"row_security": "off"})


async def in_order(connections: Sequence[asyncpg.Connection[Any]]) -> list[asyncpg.Connection[Any]]:
    """Those with outboxes before those that are filled from them, however they were named."""
    first = {one: [await _has(one, table.name) for table in TABLES] for one in connections}
    return sorted(connections, key=lambda one: first[one].index(True) if any(first[one]) else len(TABLES))


async def missing(connections: Sequence[asyncpg.Connection[Any]]) -> list[str]:
    """Tables of events that none of these databases has."""
    return [table.name for table in TABLES if not any([await _has(one, table.name) for one in connections])]


async def _has(connection: asyncpg.Connection[Any], table: str) -> bool:
    return await connection.fetchval("SELECT to_regclass($1)", table) is not None


async def _scrub_table(
    connection: asyncpg.Connection[Any], payers: Payers, table: Kept, dry_run: bool, progress: Progress
) -> Scrubbed:
    place = Scrubbed(table.name)
    if not table.is_numbered:
        await _scrub_named(connection, payers, table, place, dry_run, progress)
        return place
    stream = "stream" if table.streams else "NULL::text"
    ends = await connection.fetch(
        f"SELECT {stream} AS stream, min({table.position}) AS first, max({table.position}) AS last"  # noqa: S608
        f" FROM {table.name} WHERE {table.position} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    for end in ends:
        after = end["first"] - 1
        while after < end["last"]:
            upto = min(after + BATCH, end["last"])
            await _scrub_range(connection, payers, table, place, (after, upto, end["stream"]), dry_run)
            place.read += upto - after
            progress(place, upto, end["last"])
            after = upto
    return place


async def _scrub_named(
    connection: asyncpg.Connection[Any],
    payers: Payers,
    table: Kept,
    place: Scrubbed,
    dry_run: bool,
    progress: Progress,
) -> None:
    """By their names, so many at a time: what is set aside meanwhile may be read by the next run alone."""
    count, after = await connection.fetchval(f"SELECT count(*) FROM {table.name}"), ""  # noqa: S608
    upto = (
        f"SELECT max(name) AS last, count(*) AS number FROM (SELECT {table.position} AS name FROM {table.name}"  # noqa: S608
        f" WHERE {table.position} > $1 ORDER BY 1 LIMIT $2) AS batch"
    )
    while (batch := await connection.fetchrow(upto, after, BATCH)) and batch["number"]:
        await _scrub_range(connection, payers, table, place, (after, batch["last"], None), dry_run)
        place.read += batch["number"]
        progress(place, place.read, max(count, place.read))
        after = batch["last"]


async def _scrub_range(
    connection: asyncpg.Connection[Any],
    payers: Payers,
    table: Kept,
    place: Scrubbed,
    within: tuple[Any, Any, str | None],
    dry_run: bool,
) -> None:
    """One transaction. A relay that numbers, or an operator who resolves, changes other columns of these rows."""
    async with connection.transaction():
        rows = await connection.fetch(_select(table), *within[: 3 if table.streams else 2], list(MARKS))
        texts = [row["text"] for row in rows]
        place.kept += sum(data_of(text, table.member) is None for text in texts)
        clean = scrubbed(texts, table.member, await payers.tokens(texts, table.member))
        place.cleared += len(clean)
        if clean and not dry_run:
            await _write(connection, table, [(rows[index], text) for index, text in clean.items()])


def _select(table: Kept) -> str:
    """Those of a range that may tell of people."""
    of_stream, marks = (" AND stream = $3", "$4") if table.streams else ("", "$3")
    text = f"{table.column}::text"
    return (
        f"SELECT {table.position} AS position, {'stream' if table.streams else 'NULL'} AS stream, {text} AS text"  # noqa: S608
        f" FROM {table.name} WHERE {table.position} > $1 AND {table.position} <= $2{of_stream}"
        f" AND EXISTS (SELECT FROM unnest({marks}::text[]) AS mark WHERE strpos({text}, mark) > 0)"
        f" ORDER BY {table.position}"
    )


async def _write(connection: asyncpg.Connection[Any], table: Kept, rows: Sequence[tuple[Any, str]]) -> None:
    of_stream = " AND old.stream = new.stream" if table.streams else ""
    await connection.execute(
        f"UPDATE {table.name} AS old SET {table.column} = new.text::{table.type}"  # noqa: S608
        f" FROM unnest($1::{table.position_type}[], $2::text[], $3::text[]) AS new (position, stream, text)"
        f" WHERE old.{table.position} = new.position{of_stream}",
        [row["position"] for row, _ in rows],
        [row["stream"] for row, _ in rows],
        [text for _, text in rows],
    )
