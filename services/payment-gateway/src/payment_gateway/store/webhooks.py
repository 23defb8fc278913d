"""Deliveries that are due to webhook endpoints, and how far events have been turned into deliveries."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.stripe_objects.tellings import parts_of
from payment_gateway.domain.webhook_endpoint import PING, RetiringKeys
from payment_gateway.domain.webhook_keys import Keys
from payment_gateway.domain.webhook_style import STRIPE, StoredEvent
from payment_gateway.store.tables import (
    merchant,
    outbox,
    payment,
    webhook_attempt,
    webhook_cursor,
    webhook_delivery,
    webhook_endpoint,
)
from payment_gateway.store.webhook_endpoints import retiring_of

_EVENT, _ATTEMPT = outbox.event.fullname, webhook_attempt.fullname
_CURSOR, _DELIVERY, _ENDPOINT = webhook_cursor.fullname, webhook_delivery.fullname, webhook_endpoint.fullname

# Longer than an attempt may take (10 s) and its record: a sender that died gives its deliveries back by itself.
LEASE_S = 60

# Whether an endpoint wants to hear of an event; a ping is for the one endpoint that asked for it.
WANTS_EVENT = f"""
    event.type <> '{PING}' AND (endpoint.event_types IS NULL OR EXISTS (
        SELECT FROM unnest(endpoint.event_types) AS wanted (type)
        WHERE event.type = wanted.type
           OR (right(wanted.type, 2) = '.*' AND starts_with(event.type, left(wanted.type, -1)))))"""

# The event that a delivery is about: its id is the first 30 characters of the message's (ids of events have that many).
EVENT_OF = "left({delivery}.event_id, 30)"

# One fan-out at a time: whoever comes second leaves. Alone in its statement, so that the next one's snapshot is
# taken under the lock.
LOCK_CURSOR = text(f"SELECT position FROM {_CURSOR} FOR UPDATE SKIP LOCKED")
# What an endpoint's style makes of an event; only Stripe's looks into it.
DATA_IF_NEEDED = f"""endpoint.style, endpoint.event_names,
           CASE WHEN endpoint.style = '{STRIPE}' THEN event.data END AS data"""
# Index: outbox_event_position_key, webhook_endpoint_merchant_id_idx. An endpoint hears of what happens after it was
# made.
EVENTS_AND_ENDPOINTS = text(f"""
    WITH batch AS (
        SELECT id, merchant_id, type, occurred_at, position, data FROM {_EVENT}
        WHERE position > :position ORDER BY position LIMIT :limit
    )
    SELECT event.position, event.id AS event_id, event.type, endpoint.id AS endpoint_id, {DATA_IF_NEEDED}
    FROM batch AS event LEFT JOIN {_ENDPOINT} AS endpoint
      ON endpoint.merchant_id = event.merchant_id AND endpoint.enabled AND endpoint.created_at <= event.occurred_at
         AND {WANTS_EVENT}
    ORDER BY event.position""")
INSERT_DELIVERIES = text(f"""
    INSERT INTO {_DELIVERY} (id, endpoint_id, event_id, due_at)
    SELECT id, endpoint_id, event_id, now()
    FROM unnest(CAST(:ids AS text[]), CAST(:endpoint_ids AS text[]), CAST(:event_ids AS text[]))
         AS new (id, endpoint_id, event_id)
    ON CONFLICT (endpoint_id, event_id) DO NOTHING""")
MOVE_CURSOR = text(f"UPDATE {_CURSOR} SET position = :position")

# webhook_delivery_due_idx (endpoint_id, due_at) of due rows. `waiting` hops from endpoint to endpoint through the
# index, so that a million deliveries due to one cost nothing. `oldest` takes a few of each; they are locked there, so
# that two senders never pick the same and neither waits. `chosen` keeps what each endpoint has a place for, first
# ones first. Claiming moves due_at on, which is the lease.
CLAIM_DUE_DELIVERIES = text(f"""
    WITH RECURSIVE waiting (endpoint_id) AS (
        (SELECT endpoint_id FROM {_DELIVERY} WHERE status = 'due' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM {_DELIVERY} AS d
                WHERE d.status = 'due' AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    ), place AS (
        SELECT waiting.endpoint_id, COALESCE(known.free, 1) AS free
        FROM waiting LEFT JOIN jsonb_to_recordset(CAST(:free AS jsonb)) AS known (endpoint_id text, free int)
          ON known.endpoint_id = waiting.endpoint_id
        WHERE COALESCE(known.free, 1) > 0
    ), oldest AS (
        SELECT due.id, due.due_at, place.free,
               row_number() OVER (PARTITION BY place.endpoint_id ORDER BY due.due_at) AS rank
        FROM place CROSS JOIN LATERAL (
            SELECT d.id, d.due_at FROM {_DELIVERY} AS d
            WHERE d.endpoint_id = place.endpoint_id AND d.status = 'due' AND d.due_at <= now()
            ORDER BY d.due_at LIMIT :per_endpoint FOR UPDATE SKIP LOCKED
        ) AS due
    ), chosen AS (
        SELECT id FROM oldest WHERE rank <= free ORDER BY rank, due_at LIMIT :limit
    ), claimed AS (
        UPDATE {_DELIVERY} AS d SET due_at = now() + make_interval(secs => {LEASE_S})
        FROM chosen WHERE d.id = chosen.id
        RETURNING d.id, d.endpoint_id, d.event_id, d.attempts, d.cycle
    )
    SELECT claimed.id, claimed.endpoint_id, claimed.attempts, claimed.cycle,
           endpoint.url, endpoint.enabled, endpoint.style, endpoint.secret, endpoint.private_key, endpoint.retiring,
           CAST(EXTRACT(epoch FROM now() - event.occurred_at) AS float8) AS age_s,
           endpoint.failing_since IS NOT NULL AS is_failing,
           merchant.api_version,
           claimed.event_id, event.type, event.aggregate_id, event.merchant_id, event.occurred_at,
           CAST(event.data AS text) AS data, payment.customer
    FROM claimed
    JOIN {_ENDPOINT} AS endpoint ON endpoint.id = claimed.endpoint_id
    JOIN {merchant.fullname} AS merchant ON merchant.id = endpoint.merchant_id
    JOIN {_EVENT} AS event ON event.id = {EVENT_OF.format(delivery="claimed")}
    LEFT JOIN {payment.fullname} AS payment ON payment.id = event.aggregate_id""")
# A delivery that another run finished meanwhile (its lease ran out) stays finished, except that a success is the truth
# also of one that was given up. What belongs to the
# cycle before a replay no longer decides anything. Pauses are added to the database's own time.
RECORD_ATTEMPTS = text(f"""
    UPDATE {_DELIVERY} AS d SET
        status = new.status, attempts = d.attempts + 1, last_status_code = new.status_code,
        last_error = new.error, due_at = now() + make_interval(secs => new.pause_s),
        delivered_at = CASE WHEN new.status = 'delivered' THEN now() END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS new (id text, cycle int, status text, status_code smallint, error text, pause_s float8)
    WHERE d.id = new.id AND d.cycle = new.cycle
      AND (d.status = 'due' OR d.status = 'dead' AND new.status = 'delivered')""")
KEEP_ATTEMPTS = text(f"""
    INSERT INTO {_ATTEMPT} (delivery_id, cycle, number, status_code, error, duration_ms)
    SELECT id, cycle, number, status_code, error, duration_ms
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS new (id text, cycle int, number smallint, status_code smallint, error text, duration_ms int)""")


# What waits longest for its first attempt, in its three places: not numbered yet (outbox_event_unpositioned_idx),
# numbered but no delivery yet (outbox_event_position_key), due and not taken (hopping as the claim does). The
# platform's own events wait for none.
WAITING = text(f"""
    WITH RECURSIVE waiting (endpoint_id) AS (
        (SELECT endpoint_id FROM {_DELIVERY} WHERE status = 'due' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM {_DELIVERY} AS d
                WHERE d.status = 'due' AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    ), untaken AS (
        SELECT event.occurred_at
        FROM waiting
        JOIN {_ENDPOINT} AS endpoint
          ON endpoint.id = waiting.endpoint_id AND endpoint.enabled AND endpoint.failing_since IS NULL
        CROSS JOIN LATERAL (
            SELECT d.event_id, d.attempts, d.cycle FROM {_DELIVERY} AS d
            WHERE d.endpoint_id = waiting.endpoint_id AND d.status = 'due' AND d.due_at <= now()
            ORDER BY d.due_at LIMIT 1
        ) AS first
        JOIN {_EVENT} AS event ON event.id = {EVENT_OF.format(delivery="first")}
        WHERE first.attempts = 0 AND first.cycle = 1
    )
    SELECT CAST(EXTRACT(epoch FROM now() - LEAST(
        (SELECT occurred_at FROM {_EVENT} WHERE position IS NULL AND merchant_id IS NOT NULL ORDER BY seq LIMIT 1),
        (SELECT occurred_at FROM {_EVENT} WHERE position > (SELECT position FROM {_CURSOR})
             AND merchant_id IS NOT NULL ORDER BY position LIMIT 1),
        (SELECT min(occurred_at) FROM untaken)
    )) AS float8)""")


@dataclass(frozen=True, slots=True)
class FirstAttempt:
    """How old the event was when it was taken to be sent for the first time, and how the endpoint was doing."""

    age_s: float
    is_failing: bool


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One event that is due to one endpoint. `attempts` were made before."""

    id: str
    endpoint_id: str
    url: str
    enabled: bool
    style: str
    keys: Keys
    retiring: tuple[RetiringKeys, ...]
    cycle: int
    attempts: int
    """Within this cycle."""
    event: StoredEvent
    first: FirstAttempt | None = None
    """None for any later attempt, and for what is sent again."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What came of one attempt. `pause` until the next one, None = there is none."""

    id: str
    cycle: int
    number: int
    """Within its cycle, from 1."""
    status: str
    status_code: int | None
    error: str | None
    pause: timedelta | None
    seconds: float


async def lock_cursor(conn: AsyncConnection) -> int | None:
    """How far the fan-out has come, locked until the transaction ends; None while another one holds it."""
    position: int | None = (await conn.execute(LOCK_CURSOR)).scalar()
    return position


async def events_with_endpoints(conn: AsyncConnection, position: int, limit: int) -> Sequence[Any]:
    """The next events in order, each with every endpoint that wants it, or with none: position, event_id, type,
    endpoint_id, and what `messages_of` needs."""
    return (await conn.execute(EVENTS_AND_ENDPOINTS, {"position": position, "limit": limit})).all()


async def insert_deliveries(conn: AsyncConnection, deliveries: Sequence[tuple[str, str, str]]) -> int:
    """Write (id, endpoint_id, message id), due at once; a pair that is there stays. Returns how many are new."""
    ids, endpoint_ids, event_ids = zip(*deliveries, strict=True)
    values = {"ids": list(ids), "endpoint_ids": list(endpoint_ids), "event_ids": list(event_ids)}
    return (await conn.execute(INSERT_DELIVERIES, values)).rowcount


async def move_cursor(conn: AsyncConnection, position: int) -> None:
    await conn.execute(MOVE_CURSOR, {"position": position})


async def claim_due(
    conn: AsyncConnection, limit: int, per_endpoint: int, free: Mapping[str, int]
) -> list[DueDelivery]:
    """Due deliveries, of each endpoint as many as it has `free` places (1 when it is not named) and never more than
    `per_endpoint`; each goes to one sender."""
    places = [{"endpoint_id": endpoint_id, "free": places} for endpoint_id, places in free.items()]
    values = {"limit": limit, "per_endpoint": per_endpoint, "free": orjson.dumps(places).decode()}
    return [_due(row) for row in await conn.execute(CLAIM_DUE_DELIVERIES, values)]


async def waiting_s(conn: AsyncConnection) -> float:
    """Age in seconds of the oldest event that waits for its first attempt at a receiver that is well; 0 = none."""
    age: float | None = (await conn.execute(WAITING)).scalar_one()
    return max(age or 0.0, 0.0)


async def record_attempts(conn: AsyncConnection, records: Sequence[AttemptRecord]) -> None:
    """Write what came of attempts, and keep each as history."""
    listed = [
        {
            "id": record.id,
            "cycle": record.cycle,
            "number": record.number,
            "duration_ms": round(record.seconds * 1000),
            "status": record.status,
            "status_code": record.status_code,
            "error": record.error,
            "pause_s": record.pause.total_seconds() if record.pause is not None else None,
        }
        for record in sorted(records, key=lambda record: record.id)
    ]
    rows = {"rows": orjson.dumps(listed).decode()}
    await conn.execute(RECORD_ATTEMPTS, rows)
    await conn.execute(KEEP_ATTEMPTS, rows)


def _due(row: Any) -> DueDelivery:
    event_id, aspect = parts_of(row.event_id)
    return DueDelivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        url=row.url,
        enabled=row.enabled,
        style=row.style,
        keys=Keys(row.secret, row.private_key),
        retiring=retiring_of(row.retiring),
        cycle=row.cycle,
        attempts=row.attempts,
        event=StoredEvent(
            id=event_id,
            aspect=aspect,
            type=row.type,
            aggregate_id=row.aggregate_id,
            merchant_id=row.merchant_id,
            occurred_at=row.occurred_at,
            data=row.data,
            customer=row.customer,
            shown_at=row.api_version,
        ),
        first=FirstAttempt(row.age_s, row.is_failing) if row.attempts == 0 and row.cycle == 1 else None,
    )
