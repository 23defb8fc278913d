"""Customers in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.customer import Customer
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import customer as table
from platform_kit.writes import Writes

_BEFORE: Final[dict[str, Any]] = {"name": None, "email": None, "description": None, "metadata": {}}
"""Where an older version keeps in clear what is sealed in `personal`: emptied by each write of this one."""

_FIELDS = tuple(f.name for f in fields(Customer) if f.name != "in_clear")
_COLUMNS = ", ".join((*_FIELDS, *_BEFORE))

LOCK = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"  # noqa: S608
)
GET = text(
    f"SELECT {_COLUMNS} FROM {table.fullname}"  # noqa: S608
    " WHERE id = :id AND merchant_id = :merchant_id AND deleted_at IS NULL"
)
# customer_by_merchant_idx; keyset, newest first
PAGE = PageQuery(
    table, _COLUMNS, {"email_hash": "email_hash = :email_hash"}, where="deleted_at IS NULL", ids="cus"
)

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("personal", "email_hash", "updated_at", "deleted_at", *_BEFORE))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Customer]:
    """The customers, deleted ones too, locked until the transaction ends."""
    return {row.id: _customer(row) for row in await conn.execute(LOCK, {"ids": sorted(ids)})}


async def get(conn: AsyncConnection, customer_id: str, merchant_id: str) -> Customer | None:
    row = (await conn.execute(GET, {"id": customer_id, "merchant_id": merchant_id})).one_or_none()
    return None if row is None else _customer(row)


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[Customer]:
    """A merchant's, newest first; `filters` are those of `PAGE`."""
    found, has_more = await PAGE.rows(conn, merchant_id, window, **filters)
    return Page([_customer(row) for row in found], has_more)


def insert(writes: Writes, customers: Iterable[Customer]) -> None:
    rows.add(writes, _INSERT, map(_row, customers))


def update(writes: Writes, customers: Iterable[Customer]) -> None:
    rows.add(writes, _UPDATE, map(_row, customers))


def _row(customer: Customer) -> dict[str, Any]:
    return {name: getattr(customer, name) for name in _FIELDS} | _BEFORE


def _customer(row: Row[Any]) -> Customer:
    return Customer(**{name: getattr(row, name) for name in _FIELDS}, in_clear=in_clear(row))


def in_clear(row: Row[Any]) -> dict[str, Any]:
    """What an older version has said. What it left empty is no word: it does not know what is sealed."""
    return {name: value for name in _BEFORE if (value := getattr(row, name))}
