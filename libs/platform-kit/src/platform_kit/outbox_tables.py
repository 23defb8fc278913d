"""The outbox in Postgres: two tables and the statements over them. outbox.py says how they are used."""

# ruff: noqa: S608 - table names are composed into the statements; they are ours, never input

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from platform_kit.clock import isoformat
from platform_kit.events import Event, EventPage


@dataclass(frozen=True)
class OutboxTables:
    """The two tables and the statements over them."""

    event: Table
    head: Table

    @cached_property
    def sql(self) -> Mapping[str, TextClause]:
        return _statements(self.event.fullname, self.head.fullname)


def outbox_tables(metadata: MetaData) -> OutboxTables:
    """`outbox_event` and `outbox_head` in the schema of `metadata`.

    Grants: the app role needs INSERT, SELECT and UPDATE (position) on the events, and all but DELETE on the
    head (`grant_statements`). The head's row is made by the relay.
    """
    event = Table(
        "outbox_event",
        metadata,
        Column("id", Text(collation="C"), primary_key=True),
        Column("seq", BigInteger, Identity(always=True), nullable=False, comment="order of insertion"),
        Column("type", Text(collation="C"), nullable=False),
        Column("aggregate_id", Text(collation="C"), nullable=False),
        Column("merchant_id", Text(collation="C")),
        Column("data", JSONB, nullable=False),
        Column("traceparent", Text(collation="C")),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("position", BigInteger, unique=True, comment="dense, in commit order; null until numbered"),
    )
    # What the relay looks for: as small as the backlog, whatever the history.
    Index("outbox_event_unpositioned_idx", event.c.seq, postgresql_where=event.c.position.is_(None))
    head = Table(
        "outbox_head",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
        Column("last_position", BigInteger, nullable=False, server_default=text("0")),
        Column("published_position", BigInteger, nullable=False, server_default=text("0")),
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("published_position <= last_position", name="published"),
    )
    return OutboxTables(event, head)


def grant_statements(tables: OutboxTables, app_role: str) -> list[str]:
    """SQL for a migration: the app role may number an event and nothing else; facts are not edited."""
    event, head = tables.event.fullname, tables.head.fullname
    return [
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {event} FROM {app_role}",
        f"GRANT UPDATE (position) ON {event} TO {app_role}",
        f"REVOKE DELETE, TRUNCATE ON {head} FROM {app_role}",
    ]


def _statements(event: str, head: str) -> Mapping[str, TextClause]:
    """The SQL of the outbox. The names are ours, never input."""
    columns = (
        "id, type, aggregate_id, merchant_id, CAST(data AS text) AS data, traceparent, occurred_at, position"
    )
    sources = {
        # One statement for any number of events; unnest keeps their order, so `seq` follows it.
        "APPEND": f"""
            INSERT INTO {event} (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at)
            SELECT id, type, aggregate_id, merchant_id, CAST(data AS jsonb), traceparent, occurred_at
            FROM unnest(CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:aggregate_ids AS text[]),
                        CAST(:merchant_ids AS text[]), CAST(:data AS text[]), CAST(:traceparents AS text[]),
                        CAST(:occurred AS timestamptz[]))
                 AS e (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at)""",
        "CREATE_HEAD": f"INSERT INTO {head} (id) VALUES (1) ON CONFLICT DO NOTHING",
        "READ_HEAD": f"SELECT last_position, published_position FROM {head} WHERE id = 1",
        # Alone in its statement: the next one's snapshot is then taken under the lock, and sees all that the
        # last numbering committed.
        "LOCK_HEAD": f"SELECT last_position FROM {head} WHERE id = 1 FOR UPDATE",
        "IS_WAITING": f"SELECT EXISTS (SELECT 1 FROM {event} WHERE position IS NULL AND seq > :floor)",
        # Index: outbox_event_unpositioned_idx gives the oldest rows without a sort.
        "ASSIGN": f"""
            WITH waiting AS (
                SELECT id, seq FROM {event}
                WHERE position IS NULL AND seq > :floor ORDER BY seq LIMIT :limit
            ), numbered AS (
                SELECT id, CAST(:last AS bigint) + row_number() OVER (ORDER BY seq) AS position FROM waiting
            ), given AS (
                UPDATE {event} AS e SET position = numbered.position FROM numbered WHERE e.id = numbered.id
                RETURNING e.seq
            ), moved AS (
                UPDATE {head} SET last_position = last_position + (SELECT count(*) FROM given) WHERE id = 1
            )
            SELECT count(*) AS given, coalesce(max(seq), 0) AS last_seq FROM given""",
        # Index: outbox_event_position_key.
        "AFTER": f"SELECT {columns} FROM {event} WHERE position > :after ORDER BY position LIMIT :limit",
        "MARK_PUBLISHED": f"""
            UPDATE {head} SET published_position = GREATEST(published_position, :position) WHERE id = 1""",
    }
    return {name: text(source) for name, source in sources.items()}


async def append(conn: AsyncConnection, tables: OutboxTables, events: Sequence[Event]) -> None:
    """Insert the events in the caller's transaction, with one statement. Raises IntegrityError on a known
    id.
    """
    if events:
        await conn.execute(*appending(tables, events))


def appending(tables: OutboxTables, events: Sequence[Event]) -> tuple[TextClause, dict[str, Any]]:
    """The statement of `append` and its parameters, for `Writes.add`."""
    return tables.sql["APPEND"], {
        "ids": [event.id for event in events],
        "types": [event.type for event in events],
        "aggregate_ids": [event.aggregate_id for event in events],
        "merchant_ids": [event.merchant_id for event in events],
        "data": [orjson.dumps(event.data).decode() for event in events],
        "traceparents": [event.traceparent for event in events],
        "occurred": [event.occurred_at for event in events],
    }


async def events_after(conn: AsyncConnection, tables: OutboxTables, after: int, limit: int) -> EventPage:
    """Up to `limit` events with a position above `after`, in order: a safe pager, for positions follow
    commits.
    """
    rows, head = await rows_after(conn, tables, after, limit)
    return EventPage([_event(row) for row in rows], head)


async def rows_after(
    conn: AsyncConnection, tables: OutboxTables, after: int, limit: int
) -> tuple[Sequence[Any], int]:
    """Rows of `events_after`, and the head.

    The head is read first: it may then be behind the rows, never ahead of rows that could not be seen.
    """
    head = (await conn.execute(tables.sql["READ_HEAD"])).first()
    rows = (await conn.execute(tables.sql["AFTER"], {"after": after, "limit": limit})).all()
    return rows, max(head.last_position if head else 0, rows[-1].position if rows else 0)


def _event(row: Any) -> Event:
    return Event(
        id=row.id,
        type=row.type,
        aggregate_id=row.aggregate_id,
        data=orjson.loads(row.data),
        occurred_at=row.occurred_at,
        merchant_id=row.merchant_id,
        traceparent=row.traceparent,
        position=row.position,
    )


def envelope_of(row: Any) -> dict[str, Any]:
    """Event.envelope of a row, with the stored JSON passed through as it is."""
    return {
        "id": row.id,
        "type": row.type,
        "position": row.position,
        "occurred_at": isoformat(row.occurred_at),
        "aggregate_id": row.aggregate_id,
        "merchant_id": row.merchant_id,
        "traceparent": row.traceparent,
        "data": orjson.Fragment(row.data),
    }
