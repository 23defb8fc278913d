"""Disputes in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.dispute import Dispute, DisputeStatus
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import dispute as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(column.name for column in table.columns)
_FIELDS = tuple(f.name for f in fields(Dispute))
_SELECT = f"SELECT {_COLUMNS} FROM {table.fullname}"  # noqa: S608 - our own names
_MUTABLE = (
    "status",
    "updated_at",
    "reserved_minor",
    "evidence",
    "closed_by",
    "send_at",
    "fee_minor",
    "fee_returns",
)

LOCK_DISPUTES = text(f"{_SELECT} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE")
# dispute_channel_channel_reference_key
FIND_DISPUTE = text(f"{_SELECT} WHERE channel = :channel AND channel_reference = :reference")
# dispute_by_merchant_idx; keyset, newest first
DISPUTES = PageQuery(
    table,
    _COLUMNS,
    {"payment_id": "payment_id = :payment_id", "status": "status = :status"},
    by_time=True,
)
GET_DISPUTE = text(f"{_SELECT} WHERE id = :id AND merchant_id = :merchant_id")
# dispute_runs_out_idx
LIST_RUN_OUT = text(
    f"{_SELECT} WHERE status = 'needs_response' AND evidence_due_at < now() ORDER BY evidence_due_at LIMIT :limit"
)
# dispute_to_send_idx. Claiming moves send_at on, so that a sender that dies gives the row back by itself.
CLAIM_TO_SEND = text(
    f"UPDATE {table.fullname} SET send_at = now() + interval '15 seconds' WHERE id IN ("  # noqa: S608
    f" SELECT id FROM {table.fullname} WHERE send_at <= now() ORDER BY send_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    f") RETURNING {_COLUMNS}"
)
SENT = text(f"UPDATE {table.fullname} SET send_at = NULL WHERE id = :id")  # noqa: S608

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, _MUTABLE)


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Dispute]:
    """The disputes, locked until the transaction ends."""
    return {row.id: _dispute(row) for row in await conn.execute(LOCK_DISPUTES, {"ids": sorted(ids)})}


async def find(conn: AsyncConnection, channel: str, reference: str) -> Dispute | None:
    """The dispute that a channel calls `reference`."""
    row = (await conn.execute(FIND_DISPUTE, {"channel": channel, "reference": reference})).first()
    return _dispute(row) if row else None


async def get(conn: AsyncConnection, dispute_id: str, merchant_id: str) -> Dispute | None:
    row = (await conn.execute(GET_DISPUTE, {"id": dispute_id, "merchant_id": merchant_id})).first()
    return _dispute(row) if row else None


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[Dispute]:
    """A merchant's disputes, newest first; `filters` are those of `DISPUTES`."""
    found, has_more = await DISPUTES.rows(conn, merchant_id, window, **filters)
    return Page([_dispute(row) for row in found], has_more)


async def run_out(conn: AsyncConnection, limit: int) -> Sequence[Dispute]:
    """Disputes whose evidence is overdue."""
    return [_dispute(row) for row in await conn.execute(LIST_RUN_OUT, {"limit": limit})]


async def claim_to_send(conn: AsyncConnection, limit: int) -> Sequence[Dispute]:
    """Disputes whose channel has yet to hear the merchant's answer; each goes to one sender."""
    return [_dispute(row) for row in await conn.execute(CLAIM_TO_SEND, {"limit": limit})]


async def sent(conn: AsyncConnection, dispute_id: str) -> None:
    """The channel has taken note."""
    await conn.execute(SENT, {"id": dispute_id})


def insert(writes: Writes, disputes: Iterable[Dispute]) -> None:
    rows.add(writes, _INSERT, map(_row, disputes))


def update(writes: Writes, disputes: Iterable[Dispute]) -> None:
    rows.add(writes, _UPDATE, map(_row, disputes))


def _row(dispute: Dispute) -> dict[str, Any]:
    return {name: getattr(dispute, name) for name in _FIELDS}


def _dispute(row: Row[Any]) -> Dispute:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Dispute(**values | {"status": DisputeStatus(row.status)})
