"""Setup intents in and out of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.setup_intent import SetupIntent, SetupStatus
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import setup_intent as table
from platform_kit.writes import Writes

_FIELDS = tuple(f.name for f in fields(SetupIntent))
_COLUMNS = ", ".join(_FIELDS)

LOCK_SETUP_INTENTS = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"  # noqa: S608
)
GET_SETUP_INTENT = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id AND merchant_id = :merchant_id"  # noqa: S608
)
# setup_intent_by_merchant_idx
SETUP_INTENTS = PageQuery(
    table,
    _COLUMNS,
    {
        "customer_id": "customer_id = :customer_id",
        "payment_method_id": "payment_method_id = :payment_method_id",
    },
    ids="seti",
)
_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(
    table,
    (
        "status", "updated_at", "customer_id", "payment_method_id", "decline_code", "description", "usage",
        "metadata",
    ),
)  # fmt: skip


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, SetupIntent]:
    """The setup intents, locked until the transaction ends."""
    return {row.id: _setup(row) for row in await conn.execute(LOCK_SETUP_INTENTS, {"ids": sorted(ids)})}


async def get(conn: AsyncConnection, setup_id: str, merchant_id: str) -> SetupIntent | None:
    """A merchant's setup intent; another merchant's is as absent as none."""
    row = (await conn.execute(GET_SETUP_INTENT, {"id": setup_id, "merchant_id": merchant_id})).first()
    return _setup(row) if row else None


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[SetupIntent]:
    """A merchant's setup intents, newest first."""
    found, has_more = await SETUP_INTENTS.rows(conn, merchant_id, window, **filters)
    return Page([_setup(row) for row in found], has_more)


def insert(writes: Writes, setups: Iterable[SetupIntent]) -> None:
    rows.add(writes, _INSERT, map(_row, setups))


def update(writes: Writes, setups: Iterable[SetupIntent]) -> None:
    rows.add(writes, _UPDATE, map(_row, setups))


def _row(setup: SetupIntent) -> dict[str, Any]:
    return {name: getattr(setup, name) for name in _FIELDS}


def _setup(row: Row[Any]) -> SetupIntent:
    values = {name: getattr(row, name) for name in _FIELDS}
    return SetupIntent(**values | {"status": SetupStatus(row.status)})
