"""Deliveries as a merchant reads them, and deliveries that are made by hand: pings and replays."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.webhook_style import messages_of
from payment_gateway.store.events import narrowed
from payment_gateway.store.tables import outbox, webhook_attempt, webhook_delivery, webhook_endpoint
from payment_gateway.store.webhooks import DATA_IF_NEEDED, EVENT_OF, WANTS_EVENT

_EVENT, _ATTEMPT = outbox.event.fullname, webhook_attempt.fullname
_DELIVERY, _ENDPOINT = webhook_delivery.fullname, webhook_endpoint.fullname

_SELECT = f"""
    SELECT d.id, d.endpoint_id, event.id AS event_id, d.event_id AS message_id, event.type AS event_type,
           d.status, d.cycle, d.attempts, d.due_at,
           d.last_status_code, d.last_error, d.delivered_at, d.created_at
    FROM {_DELIVERY} AS d
    JOIN {_ENDPOINT} AS endpoint ON endpoint.id = d.endpoint_id AND endpoint.merchant_id = :merchant_id
    JOIN {_EVENT} AS event ON event.id = {EVENT_OF.format(delivery="d")}"""
GET_DELIVERY = text(f"{_SELECT} WHERE d.id = :id")
# An event's messages begin with its id, and no other's do.
OF_EVENT = "d.event_id >= :event_id AND d.event_id < :event_id || '~'"
# webhook_delivery_by_endpoint_idx or webhook_delivery_by_event_idx: one of the two is always named. Newest first.
_PAGE = """
      AND (CAST(:before AS text) IS NULL OR d.id < :before)
      AND (CAST(:status AS text) IS NULL OR d.status = :status)
    ORDER BY d.id DESC LIMIT :limit"""
LIST_OF_ENDPOINT = text(
    f"{_SELECT} WHERE d.endpoint_id = :endpoint_id"
    f" AND (CAST(:event_id AS text) IS NULL OR {OF_EVENT}) {_PAGE}"
)
LIST_OF_EVENT = text(f"{_SELECT} WHERE {OF_EVENT} {_PAGE}")
# webhook_attempt_by_delivery_idx
ATTEMPTS = text(f"""
    SELECT delivery_id, cycle, number, status_code, error, duration_ms, ended_at
    FROM unnest(CAST(:ids AS text[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT * FROM {_ATTEMPT} AS a WHERE a.delivery_id = wanted.id ORDER BY a.id DESC LIMIT :limit
    ) AS attempt ORDER BY attempt.id""")

# event_by_merchant_idx, in order of position.
EVENTS_TO_REPLAY = text(f"""
    SELECT id FROM {_EVENT}
    WHERE merchant_id = :merchant_id AND position > :after
      AND (CAST(:before AS bigint) IS NULL OR position < :before)
      AND (CAST(:event_id AS text) IS NULL OR id = :event_id)
      AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)
    ORDER BY position LIMIT :limit""")
PAIRS_TO_REPLAY = text(f"""
    SELECT endpoint.id AS endpoint_id, event.id AS event_id, event.type, {DATA_IF_NEEDED}
    FROM {_EVENT} AS event JOIN {_ENDPOINT} AS endpoint
      ON endpoint.merchant_id = event.merchant_id AND endpoint.enabled AND {WANTS_EVENT}
    WHERE event.id = ANY(CAST(:event_ids AS text[])) AND event.merchant_id = :merchant_id
      AND (CAST(:endpoint_id AS text) IS NULL OR endpoint.id = :endpoint_id)
    ORDER BY endpoint.id, event.id""")
# A pair that never was a delivery (the endpoint was disabled, or did not exist) becomes one, in cycle 2: the first is
# what an event begins by itself. One that has ended begins a new cycle under the same id; one that is still due is
# left to its schedule.
REPLAY = text(f"""
    INSERT INTO {_DELIVERY} AS d (id, endpoint_id, event_id, due_at, cycle)
    SELECT id, endpoint_id, event_id, now(), 2
    FROM unnest(CAST(:ids AS text[]), CAST(:endpoint_ids AS text[]), CAST(:event_ids AS text[]))
         AS new (id, endpoint_id, event_id)
    ON CONFLICT (endpoint_id, event_id) DO UPDATE SET
        status = 'due', cycle = d.cycle + 1, attempts = 0, due_at = now(), delivered_at = NULL
    WHERE d.status = 'dead' OR d.status = 'delivered' AND NOT :undelivered_only""")


async def get(conn: AsyncConnection, merchant_id: str, delivery_id: str) -> Any:
    """A merchant's delivery, or None."""
    return (await conn.execute(GET_DELIVERY, {"merchant_id": merchant_id, "id": delivery_id})).first()


async def page(
    conn: AsyncConnection,
    merchant_id: str,
    *,
    endpoint_id: str | None,
    event_id: str | None,
    status: str | None,
    before: str | None,
    limit: int,
) -> Sequence[Any]:
    """Newest first; of an endpoint, of an event, or of both."""
    values = {
        "merchant_id": merchant_id, "event_id": event_id, "status": status, "before": before, "limit": limit,
    }  # fmt: skip
    if endpoint_id is not None:
        return (await conn.execute(LIST_OF_ENDPOINT, values | {"endpoint_id": endpoint_id})).all()
    return (await conn.execute(LIST_OF_EVENT, values)).all()


async def attempts_of(conn: AsyncConnection, delivery_ids: Sequence[str], limit: int) -> Sequence[Any]:
    """The last `limit` attempts of each, in order."""
    return (await conn.execute(ATTEMPTS, {"ids": list(delivery_ids), "limit": limit})).all()


async def events_to_replay(
    conn: AsyncConnection,
    merchant_id: str,
    *,
    event_id: str | None,
    since: datetime | None,
    until: datetime | None,
    after: int,
    limit: int,
) -> list[str]:
    """Ids in the order of the events API, behind the position `after`."""
    after, before = await narrowed(conn, merchant_id, after, None, since, until)
    values = {
        "merchant_id": merchant_id, "event_id": event_id, "since": since, "until": until, "after": after,
        "before": before, "limit": limit,
    }  # fmt: skip
    return list((await conn.execute(EVENTS_TO_REPLAY, values)).scalars())


async def pairs_to_replay(
    conn: AsyncConnection, merchant_id: str, event_ids: Sequence[str], endpoint_id: str | None
) -> list[tuple[str, str]]:
    """(endpoint_id, message id) of what live endpoints want to hear."""
    values = {"merchant_id": merchant_id, "event_ids": list(event_ids), "endpoint_id": endpoint_id}
    return [
        (row.endpoint_id, message)
        for row in await conn.execute(PAIRS_TO_REPLAY, values)
        for message in messages_of(row.style, row.event_names, row.event_id, row.type, row.data)
    ]


async def replay(
    conn: AsyncConnection, deliveries: Sequence[tuple[str, str, str]], *, undelivered_only: bool
) -> int:
    """Make (id for a new one, endpoint_id, message id) due now; returns how many were."""
    ids, endpoint_ids, event_ids = zip(*deliveries, strict=True)
    values = {
        "ids": list(ids),
        "endpoint_ids": list(endpoint_ids),
        "event_ids": list(event_ids),
        "undelivered_only": undelivered_only,
    }
    return (await conn.execute(REPLAY, values)).rowcount
