"""The log of administrative acts: added to in the transaction of the act, read by page, never changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import insert as insert_into
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.audit import Actor, Entry, StoredEntry
from payment_gateway.store import rows
from payment_gateway.store.tables import audit_entry
from platform_kit.ids import new_id
from platform_kit.writes import Writes

# audit_entry_by_merchant_idx; audit_entry_pkey for the administrator, who names no merchant.
_PAGE = """
    SELECT id, merchant_id, actor, actor_id, action, object_id, details, request_id, created_at
    FROM payments.audit_entry
    WHERE {} (CAST(:before AS text) IS NULL OR id < :before)
      AND (CAST(:action AS text) IS NULL OR action = :action)
    ORDER BY id DESC LIMIT :limit"""
OF_MERCHANT, OF_ALL = text(_PAGE.format("merchant_id = :merchant_id AND")), text(_PAGE.format(""))

_INSERT = rows.insert_statement(audit_entry)


async def record(conn: AsyncConnection, by: Actor, entry: Entry) -> None:
    """Keep an act. In its transaction: an act without its entry, or the other way round, cannot be."""
    statement = insert_into(audit_entry).values(
        id=new_id("aud"),
        merchant_id=entry.merchant_id,
        actor=by.kind,
        actor_id=by.id,
        action=entry.action,
        object_id=entry.object_id,
        details=dict(entry.details),
        request_id=by.request_id,
    )
    await conn.execute(statement)


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, StoredEntry]:
    """History is never locked: nobody may change it."""
    raise AssertionError("an entry is written once")


def insert(writes: Writes, entries: Iterable[StoredEntry]) -> None:
    """Entries of acts that are commits (a `RowKind`)."""
    rows.add(writes, _INSERT, map(_row, entries))


def update(writes: Writes, entries: Iterable[StoredEntry]) -> None:
    raise AssertionError("what was done does not change")


def _row(stored: StoredEntry) -> dict[str, Any]:
    entry, by = stored.entry, stored.by
    return {
        "id": stored.id,
        "merchant_id": entry.merchant_id,
        "actor": by.kind,
        "actor_id": by.id,
        "action": entry.action,
        "object_id": entry.object_id,
        "details": dict(entry.details),
        "request_id": by.request_id,
        "created_at": stored.created_at,
    }


async def page(
    conn: AsyncConnection, merchant_id: str | None, *, before: str | None, action: str | None, limit: int
) -> Sequence[StoredEntry]:
    """The newest first; of all merchants for None."""
    values = {"before": before, "action": action, "limit": limit}
    if merchant_id is None:
        found = await conn.execute(OF_ALL, values)
    else:
        found = await conn.execute(OF_MERCHANT, values | {"merchant_id": merchant_id})
    return [
        StoredEntry(
            row.id,
            Entry(row.action, row.merchant_id, row.object_id, row.details),
            Actor(row.actor, row.actor_id, row.request_id),
            row.created_at,
        )
        for row in found
    ]
