"""Payouts in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.payout import Payout, PayoutStatus
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import payout as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(column.name for column in table.columns)
_FIELDS = tuple(f.name for f in fields(Payout))
_SELECT = f"SELECT {_COLUMNS} FROM {table.fullname}"  # noqa: S608 - our own names

LOCK_PAYOUTS = text(f"{_SELECT} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE")
GET_PAYOUT = text(f"{_SELECT} WHERE id = :id AND merchant_id = :merchant_id")
# payout_by_merchant_idx; keyset, newest first
PAYOUTS = PageQuery(
    table,
    _COLUMNS,
    {
        "statuses": "status = ANY(string_to_array(:statuses, ','))",
        "destination": "destination = :destination",
    },
    by_time=True,
)
# payout_due_idx. Claiming moves due_at on, so that a sender that dies gives the row back by itself.
CLAIM_DUE_PAYOUTS = text(
    f"UPDATE {table.fullname} SET due_at = now() + interval '30 seconds' WHERE id IN ("  # noqa: S608
    f" SELECT id FROM {table.fullname} WHERE due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    f") RETURNING {_COLUMNS}"
)

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("status", "updated_at", "failure_code", "tries", "due_at"))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Payout]:
    """The payouts, locked until the transaction ends."""
    return {row.id: _payout(row) for row in await conn.execute(LOCK_PAYOUTS, {"ids": sorted(ids)})}


async def get(conn: AsyncConnection, payout_id: str, merchant_id: str) -> Payout | None:
    row = (await conn.execute(GET_PAYOUT, {"id": payout_id, "merchant_id": merchant_id})).first()
    return _payout(row) if row else None


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[Payout]:
    """A merchant's payouts, newest first; `filters` are those of `PAYOUTS`."""
    found, has_more = await PAYOUTS.rows(conn, merchant_id, window, **filters)
    return Page([_payout(row) for row in found], has_more)


async def claim_due(conn: AsyncConnection, limit: int) -> Sequence[Payout]:
    """Payouts that the bank is to be asked for, or about, now; each goes to one sender."""
    return [_payout(row) for row in await conn.execute(CLAIM_DUE_PAYOUTS, {"limit": limit})]


def insert(writes: Writes, payouts: Iterable[Payout]) -> None:
    rows.add(writes, _INSERT, map(_row, payouts))


def update(writes: Writes, payouts: Iterable[Payout]) -> None:
    rows.add(writes, _UPDATE, map(_row, payouts))


def _row(payout: Payout) -> dict[str, Any]:
    return {name: getattr(payout, name) for name in _FIELDS}


def _payout(row: Row[Any]) -> Payout:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Payout(**values | {"status": PayoutStatus(row.status)})
