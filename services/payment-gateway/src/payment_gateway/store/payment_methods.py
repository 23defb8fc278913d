"""Saved payment methods in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.customer import PaymentMethod
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import payment_method as table
from platform_kit.writes import Writes

_FIELDS = tuple(f.name for f in fields(PaymentMethod))
_COLUMNS = ", ".join(_FIELDS)

LOCK = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"  # noqa: S608
)
GET = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id AND merchant_id = :merchant_id")  # noqa: S608
# payment_method_by_customer_idx
OF_CUSTOMER = text(f"SELECT id FROM {table.fullname} WHERE customer_id = :customer_id ORDER BY id")  # noqa: S608
# payment_method_by_customer_idx or payment_method_by_merchant_idx; keyset, newest first
PAGE = PageQuery(
    table, _COLUMNS, {"customer_id": "customer_id = :customer_id", "type": "type = :type"}, ids="pm"
)

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(
    table, ("customer_id", "billing_details", "metadata", "updated_at", "detached_at")
)


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, PaymentMethod]:
    """The payment methods, locked until the transaction ends."""
    return {row.id: _payment_method(row) for row in await conn.execute(LOCK, {"ids": sorted(ids)})}


async def get(conn: AsyncConnection, payment_method_id: str, merchant_id: str) -> PaymentMethod | None:
    row = (await conn.execute(GET, {"id": payment_method_id, "merchant_id": merchant_id})).one_or_none()
    return None if row is None else _payment_method(row)


async def ids_of_customer(conn: AsyncConnection, customer_id: str) -> Sequence[str]:
    return [row.id for row in await conn.execute(OF_CUSTOMER, {"customer_id": customer_id})]


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[PaymentMethod]:
    """A merchant's, newest first; `filters` are those of `PAGE`."""
    found, has_more = await PAGE.rows(conn, merchant_id, window, **filters)
    return Page([_payment_method(row) for row in found], has_more)


def insert(writes: Writes, methods: Iterable[PaymentMethod]) -> None:
    rows.add(writes, _INSERT, map(_row, methods))


def update(writes: Writes, methods: Iterable[PaymentMethod]) -> None:
    rows.add(writes, _UPDATE, map(_row, methods))


def _row(method: PaymentMethod) -> dict[str, Any]:
    return {name: getattr(method, name) for name in _FIELDS}


def _payment_method(row: Row[Any]) -> PaymentMethod:
    return PaymentMethod(**{name: getattr(row, name) for name in _FIELDS})
