"""A merchant's view of the outbox: numbered events only, since what has no position yet may still be overtaken."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
      AND (CAST(:types AS text[]) IS NULL OR event.type = ANY(CAST(:types AS text[])))
      AND (CAST(:since AS timestamptz) IS NULL OR event.occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR event.occurred_at < :until)
    ORDER BY event.position"""
OLDEST_FIRST, NEWEST_FIRST = text(f"{_PAGE} ASC LIMIT :limit"), text(f"{_PAGE} DESC LIMIT :limit")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`type` is exact, or `x.*` for all that begin so; `types` are exact; `since` <= occurred_at < `until`."""

    type: str | None = None
    types: Sequence[str] | None = None
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
    values = {
        "merchant_id": merchant_id, "after": after, "before": before, "limit": limit,
        "type": where.type, "types": where.types, "since": where.since, "until": where.until,
        "aggregate_id": where.aggregate_id,
    }  # fmt: skip
    return [_event(row) for row in await conn.execute(NEWEST_FIRST if newest_first else OLDEST_FIRST, values)]


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
