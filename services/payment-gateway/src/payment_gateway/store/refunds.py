"""Refunds in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.refund import Refund, RefundStatus
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import refund as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(column.name for column in table.columns)
_FIELDS = tuple(f.name for f in fields(Refund))

LOCK_REFUNDS = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"  # noqa: S608
)
# refund_payment_id_idx
LIST_REFUNDS = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE payment_id = :payment_id ORDER BY id")  # noqa: S608
# refund_by_merchant_idx; a refund that a bank sent back has an id that tells no time (record_return.py)
REFUNDS = PageQuery(
    table, _COLUMNS, {"payment_id": "payment_id = :payment_id", "status": "status = :status"}, by_time=True
)
GET_REFUND = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id AND merchant_id = :merchant_id")  # noqa: S608

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("status", "metadata", "failure_code"))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Refund]:
    """The refunds, locked until the transaction ends."""
    return {row.id: _refund(row) for row in await conn.execute(LOCK_REFUNDS, {"ids": sorted(ids)})}


async def of_payment(conn: AsyncConnection, payment_id: str) -> Sequence[Refund]:
    """All refunds of a payment, oldest first."""
    return [_refund(row) for row in await conn.execute(LIST_REFUNDS, {"payment_id": payment_id})]


async def get(conn: AsyncConnection, refund_id: str, merchant_id: str) -> Refund | None:
    """A merchant's refund; another merchant's is as absent as none."""
    row = (await conn.execute(GET_REFUND, {"id": refund_id, "merchant_id": merchant_id})).first()
    return _refund(row) if row else None


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[Refund]:
    """A merchant's refunds, newest first; `filters` are those of `REFUNDS`."""
    found, has_more = await REFUNDS.rows(conn, merchant_id, window, **filters)
    return Page([_refund(row) for row in found], has_more)


def insert(writes: Writes, refunds: Iterable[Refund]) -> None:
    rows.add(writes, _INSERT, map(_row, refunds))


def update(writes: Writes, refunds: Iterable[Refund]) -> None:
    rows.add(writes, _UPDATE, map(_row, refunds))


def _row(refund: Refund) -> dict[str, Any]:
    return {name: getattr(refund, name) for name in _FIELDS}


def _refund(row: Row[Any]) -> Refund:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Refund(**values | {"status": RefundStatus(row.status)})
