"""Webhook endpoints as rows: what a merchant manages, and which of them fail."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.webhook_endpoint import FAILING_MAX, FAILURE_GAP_MAX, Endpoint, RetiringKeys
from payment_gateway.domain.webhook_keys import Keys
from payment_gateway.store.tables import merchant, webhook_delivery, webhook_endpoint
from platform_kit.clock import isoformat

_MERCHANT, _ENDPOINT, _DELIVERY = merchant.fullname, webhook_endpoint.fullname, webhook_delivery.fullname
_COLUMNS = (
    "id, merchant_id, url, secret, private_key, enabled, event_types, event_names, description, metadata, style,"
    " retiring, failing_since, disabled_at, disabled_reason, created_at"
)

LOCK_MERCHANT = text(f"SELECT id FROM {_MERCHANT} WHERE id = :merchant_id FOR UPDATE")
COUNT_ENDPOINTS = text(f"SELECT count(*) FROM {_ENDPOINT} WHERE merchant_id = :merchant_id AND enabled")
INSERT_ENDPOINT = text(
    f"INSERT INTO {_ENDPOINT} (id, merchant_id, url, secret, private_key, event_types, event_names, description,"
    " metadata, style) VALUES (:id, :merchant_id, :url, :secret, :private_key, CAST(:event_types AS text[]),"
    f" CAST(:event_names AS text[]), :description, CAST(:metadata AS jsonb), :style) RETURNING {_COLUMNS}"
)
# webhook_endpoint_merchant_id_idx; a merchant has few.
LIST_ENDPOINTS = text(
    f"SELECT {_COLUMNS} FROM {_ENDPOINT} WHERE merchant_id = :merchant_id AND deleted_at IS NULL"
    " AND (CAST(:after AS text) IS NULL OR id > :after) ORDER BY id LIMIT :limit"
)
_OWN = f"{_ENDPOINT} WHERE id = :id AND merchant_id = :merchant_id AND deleted_at IS NULL"
GET_ENDPOINT = text(f"SELECT {_COLUMNS} FROM {_OWN}")
LOCK_ENDPOINT = text(f"SELECT {_COLUMNS} FROM {_OWN} FOR UPDATE")
# Enabling starts with a clean slate: the old row of failures is over.
UPDATE_ENDPOINT = text(f"""
    UPDATE {_ENDPOINT} SET
        url = :url, event_types = CAST(:event_types AS text[]), event_names = CAST(:event_names AS text[]),
        description = :description, metadata = CAST(:metadata AS jsonb), secret = :secret, private_key = :private_key,
        retiring = CAST(:retiring AS jsonb), enabled = :enabled,
        failing_since = CASE WHEN :enabled AND NOT enabled THEN NULL ELSE failing_since END,
        last_failed_at = CASE WHEN :enabled AND NOT enabled THEN NULL ELSE last_failed_at END,
        disabled_at = CASE WHEN :enabled THEN NULL ELSE COALESCE(disabled_at, now()) END,
        disabled_reason = CASE WHEN :enabled THEN NULL ELSE COALESCE(disabled_reason, 'merchant') END
    WHERE id = :id RETURNING {_COLUMNS}""")
# A scan: endpoints are few, and which of them are old changes with each new key. Deleted ones hold secrets, too.
LOCK_OLD = text(f"""
    SELECT {_COLUMNS} FROM {_ENDPOINT}
    WHERE NOT starts_with(secret, :newest) OR NOT starts_with(private_key, :newest)
       OR EXISTS (SELECT FROM jsonb_array_elements(retiring) AS one
                  WHERE NOT starts_with(one->>'secret', :newest) OR NOT starts_with(one->>'private_key', :newest))
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED""")
REWRITE_KEYS = text(
    f"UPDATE {_ENDPOINT} SET secret = :secret, private_key = :private_key, retiring = CAST(:retiring AS jsonb)"
    " WHERE id = :id"
)
DELETE_ENDPOINT = text(f"UPDATE {_ENDPOINT} SET enabled = false, deleted_at = now() WHERE id = :id")

# In id order, so that two senders never wait for each other in a circle.
_LOCKED = (
    f"locked AS (SELECT id FROM {_ENDPOINT} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE)"
)
NOTE_SUCCESS = text(f"""
    WITH failing AS (
        SELECT id FROM {_ENDPOINT} WHERE id = ANY(CAST(:ids AS text[])) AND failing_since IS NOT NULL
        ORDER BY id FOR UPDATE
    )
    UPDATE {_ENDPOINT} AS e SET failing_since = NULL, last_failed_at = NULL FROM failing WHERE e.id = failing.id""")
NOTE_FAILURE = text(f"""
    WITH {_LOCKED}
    UPDATE {_ENDPOINT} AS e SET
        failing_since = CASE WHEN e.last_failed_at >= now() - CAST(:gap AS interval)
                             THEN e.failing_since ELSE now() END,
        last_failed_at = now()
    FROM locked WHERE e.id = locked.id
    RETURNING e.id, e.enabled AND now() - e.failing_since >= CAST(:failing_max AS interval) AS is_over""")
DISABLE_ENDPOINTS = text(f"""
    WITH {_LOCKED}
    UPDATE {_ENDPOINT} AS e SET enabled = false, disabled_at = now(), disabled_reason = :reason
    FROM locked WHERE e.id = locked.id AND e.enabled
    RETURNING {", ".join(f"e.{name}" for name in _COLUMNS.split(", "))}""")
DROP_DUE = text(f"""
    UPDATE {_DELIVERY} SET status = 'dead', due_at = NULL, last_error = 'endpoint-disabled'
    WHERE endpoint_id = ANY(CAST(:ids AS text[])) AND status = 'due'""")


async def count_live(conn: AsyncConnection, merchant_id: str) -> int:
    """How many enabled endpoints a merchant has; no other request of this merchant counts until the transaction
    ends."""
    await conn.execute(LOCK_MERCHANT, {"merchant_id": merchant_id})
    return int((await conn.execute(COUNT_ENDPOINTS, {"merchant_id": merchant_id})).scalar_one())


async def insert(conn: AsyncConnection, endpoint: Endpoint) -> Endpoint:
    """Returns the row with the database's time of creation."""
    return _endpoint((await conn.execute(INSERT_ENDPOINT, _values(endpoint))).one())


async def page(conn: AsyncConnection, merchant_id: str, after: str | None, limit: int) -> list[Endpoint]:
    """Oldest first."""
    values = {"merchant_id": merchant_id, "after": after, "limit": limit}
    return [_endpoint(row) for row in await conn.execute(LIST_ENDPOINTS, values)]


async def get(
    conn: AsyncConnection, merchant_id: str, endpoint_id: str, *, lock: bool = False
) -> Endpoint | None:
    """A merchant's endpoint; another merchant's and a deleted one are as absent as none."""
    statement = LOCK_ENDPOINT if lock else GET_ENDPOINT
    row = (await conn.execute(statement, {"id": endpoint_id, "merchant_id": merchant_id})).first()
    return _endpoint(row) if row else None


async def update(conn: AsyncConnection, endpoint: Endpoint) -> Endpoint:
    """Write what a merchant may change, of a locked endpoint. One that ends up disabled has nothing due any more."""
    row = (await conn.execute(UPDATE_ENDPOINT, _values(endpoint))).one()
    if not row.enabled:
        await drop_due(conn, [endpoint.id])
    return _endpoint(row)


async def lock_old(conn: AsyncConnection, newest: str, limit: int) -> list[Endpoint]:
    """Endpoints with a stored key that does not begin with `newest`, locked; what another run holds is left out."""
    return [_endpoint(row) for row in await conn.execute(LOCK_OLD, {"newest": newest, "limit": limit})]


async def rewrite_keys(conn: AsyncConnection, endpoint: Endpoint) -> None:
    """Store a locked endpoint's keys in another form; nothing else of it changes."""
    values = _values(endpoint)
    await conn.execute(
        REWRITE_KEYS, {name: values[name] for name in ("id", "secret", "private_key", "retiring")}
    )


async def delete(conn: AsyncConnection, endpoint_id: str) -> None:
    """Nothing is sent there any more; its deliveries stay readable."""
    await conn.execute(DELETE_ENDPOINT, {"id": endpoint_id})
    await drop_due(conn, [endpoint_id])


async def note_success(conn: AsyncConnection, endpoint_ids: Collection[str]) -> None:
    """These answered: their row of failures is over."""
    await conn.execute(NOTE_SUCCESS, {"ids": list(endpoint_ids)})


async def note_failure(conn: AsyncConnection, endpoint_ids: Collection[str]) -> list[str]:
    """These failed; returns which of them have failed for longer than FAILING_MAX without a success between."""
    values = {"ids": list(endpoint_ids), "gap": FAILURE_GAP_MAX, "failing_max": FAILING_MAX}
    return [row.id for row in await conn.execute(NOTE_FAILURE, values) if row.is_over]


async def disable(conn: AsyncConnection, endpoint_ids: Collection[str], reason: str) -> list[Endpoint]:
    """Send nothing more there; what is still due is dead, and says why. Returns those that were enabled till now."""
    rows = (await conn.execute(DISABLE_ENDPOINTS, {"ids": list(endpoint_ids), "reason": reason})).all()
    await drop_due(conn, endpoint_ids)
    return [_endpoint(row) for row in rows]


async def drop_due(conn: AsyncConnection, endpoint_ids: Collection[str]) -> None:
    """What is due to these is dead."""
    await conn.execute(DROP_DUE, {"ids": list(endpoint_ids)})


def retiring_of(stored: Sequence[dict[str, Any]]) -> tuple[RetiringKeys, ...]:
    """The column `retiring` as values."""
    return tuple(
        RetiringKeys(Keys(one["secret"], one["private_key"]), datetime.fromisoformat(one["expires_at"]))
        for one in stored
    )


def _values(endpoint: Endpoint) -> dict[str, Any]:
    retiring = [
        {
            "secret": one.keys.secret,
            "private_key": one.keys.private_key,
            "expires_at": isoformat(one.expires_at),
        }
        for one in endpoint.retiring
    ]
    return {
        "id": endpoint.id,
        "merchant_id": endpoint.merchant_id,
        "url": endpoint.url,
        "secret": endpoint.keys.secret,
        "private_key": endpoint.keys.private_key,
        "enabled": endpoint.enabled,
        "event_types": list(endpoint.event_types) if endpoint.event_types is not None else None,
        "event_names": list(endpoint.event_names) if endpoint.event_names is not None else None,
        "description": endpoint.description,
        "metadata": orjson.dumps(dict(endpoint.metadata)).decode(),
        "style": endpoint.style,
        "retiring": orjson.dumps(retiring).decode(),
    }


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        id=row.id,
        merchant_id=row.merchant_id,
        url=row.url,
        keys=Keys(row.secret, row.private_key),
        created_at=row.created_at,
        enabled=row.enabled,
        event_types=row.event_types,
        event_names=row.event_names,
        description=row.description,
        metadata=row.metadata,
        style=row.style,
        retiring=retiring_of(row.retiring),
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
    )
