"""A merchant's view of the outbox: numbered events only, since what has no position yet may still be overtaken."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.personal_data import with_payer
from payment_gateway.store.tables import outbox, payment
from platform_kit.clock import isoformat

_EVENT = outbox.event.fullname
_COLUMNS = (
    "event.id, event.type, event.aggregate_id, event.merchant_id, event.occurred_at, event.data,"
    " payment.customer"
)
# What an event leaves out of who pays, its merchant reads from the payment (payment_pkey).
_SOURCE = f"{_EVENT} AS event LEFT JOIN {payment.fullname} AS payment ON payment.id = event.aggregate_id"
POSITION_OF = text(f"SELECT position FROM {_EVENT} WHERE id = :id AND merchant_id = :merchant_id")
GET_EVENT = text(
    f"SELECT {_COLUMNS} FROM {_SOURCE}"
    " WHERE event.id = :id AND event.merchant_id = :merchant_id AND event.position IS NOT NULL"
)
# event_by_merchant_idx, or event_by_aggregate_idx for one object's, read in either direction.
_PAGE = f"""
    SELECT {_COLUMNS} FROM {_SOURCE}
    WHERE event.merchant_id = :merchant_id AND event.position > :after
      AND (CAST(:before AS bigint) IS NULL OR event.position < :before)
      AND (CAST(:type AS text) IS NULL OR event.type = :type
           OR (right(:type, 2) = '.*' AND starts_with(event.type, left(:type, -1))))
      AND (CAST(:aggregate_id AS text) IS NULL OR event.aggregate_id = :aggregate_id)
      AND (CAST(:shapes AS jsonb) IS NULL OR EXISTS (
           SELECT FROM jsonb_to_recordset(CAST(:shapes AS jsonb)) AS wanted (type text, shape jsonb)
           WHERE event.type = wanted.type AND event.data @> wanted.shape))
      AND (CAST(:since AS timestamptz) IS NULL OR event.occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR event.occurred_at < :until)
    ORDER BY event.position"""
# Where a time begins among a merchant's events is found by halving, some thirty looks into event_by_merchant_idx, so
# that a list between two times reads what happened then and not all that is newer. An event's time is when a process
# decided it, and positions follow commits: hence the minutes, and the comparison with the time stays in the page.
BORDERS = text(f"""
    WITH RECURSIVE border (is_first, at, low, high) AS (
        SELECT is_first, at, CAST(0 AS bigint), 1 + COALESCE((
            SELECT position FROM {_EVENT} WHERE merchant_id = :merchant_id AND position > 0
            ORDER BY position DESC LIMIT 1), 0)
        FROM (VALUES (TRUE, CAST(:since AS timestamptz) - interval '5 minutes'),
                     (FALSE, CAST(:until AS timestamptz) + interval '5 minutes')) AS ends (is_first, at)
        WHERE at IS NOT NULL
        UNION ALL
        SELECT is_first, at, CASE WHEN is_earlier THEN found.position + 1 ELSE low END,
               CASE WHEN is_earlier THEN high ELSE (low + high) / 2 END
        FROM border LEFT JOIN LATERAL (
            SELECT position, occurred_at FROM {_EVENT}
            WHERE merchant_id = :merchant_id AND position >= (border.low + border.high) / 2
            ORDER BY position LIMIT 1) AS found ON TRUE
        CROSS JOIN LATERAL (
            SELECT COALESCE(found.position < high AND found.occurred_at < at, FALSE)) AS e (is_earlier)
        WHERE low < high
    )
    SELECT max(low) FILTER (WHERE is_first) AS first, max(low) FILTER (WHERE NOT is_first) AS beyond FROM border""")
OLDEST_FIRST, NEWEST_FIRST = text(f"{_PAGE} ASC LIMIT :limit"), text(f"{_PAGE} DESC LIMIT :limit")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`type` is exact, or `x.*` for all that begin so; `since` <= occurred_at < `until`."""

    type: str | None = None
    shapes: Sequence[tuple[str, Mapping[str, Any]]] | None = None
    """Exact types, each with what the data must contain: one of these."""
    since: datetime | None = None
    until: datetime | None = None
    aggregate_id: str | None = None
    """Of one object alone."""


async def position_of(conn: AsyncConnection, merchant_id: str, event_id: str) -> int | None:
    """The position of a merchant's event; None also for one that has none yet."""
    found: int | None = await conn.scalar(POSITION_OF, {"id": event_id, "merchant_id": merchant_id})
    return found


async def get(conn: AsyncConnection, merchant_id: str, event_id: str) -> dict[str, Any] | None:
    """A merchant's event; another merchant's is as absent as none."""
    row = (await conn.execute(GET_EVENT, {"id": event_id, "merchant_id": merchant_id})).first()
    return _event(row) if row else None


async def narrowed(
    conn: AsyncConnection,
    merchant_id: str,
    after: int,
    before: int | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[int, int | None]:
    """The positions that still have to be read for what happened between two times."""
    if since is None and until is None:
        return after, before
    values = {"merchant_id": merchant_id, "since": since, "until": until}
    border = (await conn.execute(BORDERS, values)).one()
    if border.first is not None:
        after = max(after, border.first - 1)
    if border.beyond is not None:
        before = border.beyond if before is None else min(before, border.beyond)
    return after, before


async def page(
    conn: AsyncConnection,
    merchant_id: str,
    *,
    after: int = 0,
    before: int | None = None,
    where: EventFilter = EventFilter(),
    newest_first: bool = False,
    limit: int,
) -> Sequence[dict[str, Any]]:
    """Events between two positions, both excluded."""
    statement = NEWEST_FIRST if newest_first else OLDEST_FIRST
    values = await asked(conn, merchant_id, after=after, before=before, where=where, limit=limit)
    return [_event(row) for row in await conn.execute(statement, values)]


async def asked(
    conn: AsyncConnection,
    merchant_id: str,
    *,
    after: int = 0,
    before: int | None = None,
    where: EventFilter,
    limit: int,
) -> dict[str, Any]:
    """What the statement of such a page is given."""
    if where.aggregate_id is None:  # of one object there are few
        after, before = await narrowed(conn, merchant_id, after, before, where.since, where.until)
    shapes = None
    if where.shapes is not None:
        listed = [{"type": kind, "shape": shape} for kind, shape in where.shapes]
        shapes = orjson.dumps(listed).decode()
    return {
        "merchant_id": merchant_id, "after": after, "before": before, "limit": limit, "type": where.type,
        "shapes": shapes, "since": where.since, "until": where.until, "aggregate_id": where.aggregate_id,
    }  # fmt: skip


def _event(row: Any) -> dict[str, Any]:
    """The envelope without `position`: a global counter would tell a merchant the platform's volume."""
    return {
        "id": row.id,
        "type": row.type,
        "occurred_at": isoformat(row.occurred_at),
        "aggregate_id": row.aggregate_id,
        "merchant_id": row.merchant_id,
        "data": with_payer(row.data, row.customer),
    }
