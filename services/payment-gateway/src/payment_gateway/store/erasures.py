"""Erasures in and out of the store, and what they find of somebody in other tables."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.erasure import Erasure, ErasureStatus
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import customer, dispute, payment, payment_method
from payment_gateway.store.tables import erasure as table
from platform_kit.writes import Writes

_FIELDS = tuple(f.name for f in fields(Erasure))
_COLUMNS = ", ".join(_FIELDS)
_MUTABLE = ("status", "subjects", "due_at", "blocked_by", "sought", "report", "erased_at", "reported_at")
PAYERS_MAX = 1_000  # of the newest payments: what they say of a payer hardly differs

GET = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id")
LOCK = text(f"{GET.text} FOR UPDATE SKIP LOCKED")
LOCK_ALL = text(
    f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)
PAGE = PageQuery(table, _COLUMNS, {})  # erasure_by_merchant_idx
NEWEST = text(f"""
    SELECT {_COLUMNS} FROM {table.fullname}
    WHERE CAST(:before AS text) IS NULL OR id < :before ORDER BY id DESC LIMIT :limit""")
# erasure_due_idx
DUE = text(f"""
    SELECT id FROM {table.fullname} WHERE status <> 'erased' AND due_at <= now() ORDER BY due_at LIMIT :limit""")
UNREPORTED = text(f"""
    SELECT id FROM {table.fullname} WHERE sought IS NOT NULL AND erased_at < :before ORDER BY id LIMIT :limit""")
POSTPONE = text(f"UPDATE {table.fullname} SET due_at = :due_at WHERE id = :id AND status <> 'erased'")
# payment_by_subject_idx
_OF_SUBJECTS = "customer ->> 'subject' = ANY(CAST(:subjects AS text[]))"
PAYERS = text(f"""
    SELECT customer FROM {payment.fullname} WHERE {_OF_SUBJECTS} ORDER BY id DESC LIMIT {PAYERS_MAX}""")
# and dispute_by_subject_idx: evidence about a payment of nobody in particular is under a subject of its own
DISPUTES = text(f"""
    SELECT id, status, evidence FROM {dispute.fullname}
    WHERE payment_id IN (SELECT id FROM {payment.fullname} WHERE {_OF_SUBJECTS})
    UNION
    SELECT id, status, evidence FROM {dispute.fullname}
    WHERE evidence ->> 'subject' = ANY(CAST(:subjects AS text[]))
    ORDER BY id""")
EMPTY_EVIDENCE = text(f"""
    UPDATE {dispute.fullname} SET evidence = '{{}}' WHERE id = ANY(CAST(:ids AS text[]))""")
# customer_by_merchant_idx
CUSTOMERS = text(f"""
    SELECT id, personal FROM {customer.fullname}
    WHERE merchant_id = :merchant_id AND personal ->> 'subject' = ANY(CAST(:subjects AS text[]))
      AND deleted_at IS NULL""")

# payment_method_by_merchant_idx
BILLING = text(f"""
    SELECT billing_details FROM {payment_method.fullname}
    WHERE merchant_id = :merchant_id AND billing_details ->> 'subject' = ANY(CAST(:subjects AS text[]))""")

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, _MUTABLE)
_UPDATE_ONE = text(_UPDATE.text)


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Erasure]:
    """The erasures, locked until the transaction ends (a `RowKind`)."""
    return {row.id: _erasure(row) for row in await conn.execute(LOCK_ALL, {"ids": sorted(ids)})}


async def lock_free(conn: AsyncConnection, erasure_id: str) -> Erasure | None:
    """Locked until the transaction ends; None while another run has it."""
    row = (await conn.execute(LOCK, {"id": erasure_id})).first()
    return _erasure(row) if row else None


async def get(conn: AsyncConnection, erasure_id: str) -> Erasure | None:
    """Whosever it is, unless the connection sees one merchant's rows alone."""
    row = (await conn.execute(GET, {"id": erasure_id})).first()
    return _erasure(row) if row else None


async def page(conn: AsyncConnection, merchant_id: str, window: Window) -> Page[Erasure]:
    found, has_more = await PAGE.rows(conn, merchant_id, window)
    return Page([_erasure(row) for row in found], has_more)


async def newest(conn: AsyncConnection, before: str | None, limit: int) -> Page[Erasure]:
    """Of all merchants."""
    found = (await conn.execute(NEWEST, {"before": before, "limit": limit + 1})).all()
    return Page([_erasure(row) for row in found[:limit]], len(found) > limit)


async def due(conn: AsyncConnection, limit: int) -> Sequence[str]:
    return [row.id for row in await conn.execute(DUE, {"limit": limit})]


async def postpone(conn: AsyncConnection, erasure_id: str, due_at: datetime) -> None:
    await conn.execute(POSTPONE, {"id": erasure_id, "due_at": due_at})


async def unreported(conn: AsyncConnection, before: datetime, limit: int) -> Sequence[str]:
    """Erased before then, and still holding what a scan would look for."""
    return [row.id for row in await conn.execute(UNREPORTED, {"before": before, "limit": limit})]


async def payers(conn: AsyncConnection, subjects: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """What the newest payments of these subjects hold of them, sealed."""
    return [row.customer for row in await conn.execute(PAYERS, {"subjects": list(subjects)})]


async def customers_of(
    conn: AsyncConnection, merchant_id: str, subjects: Sequence[str]
) -> Sequence[Row[Any]]:
    """(id, personal) of the saved customers that these subjects are."""
    values = {"merchant_id": merchant_id, "subjects": list(subjects)}
    return (await conn.execute(CUSTOMERS, values)).all()


async def billing_of(
    conn: AsyncConnection, merchant_id: str, subjects: Sequence[str]
) -> Sequence[Mapping[str, Any]]:
    """The billing details that these subjects are, sealed."""
    values = {"merchant_id": merchant_id, "subjects": list(subjects)}
    return [row.billing_details for row in await conn.execute(BILLING, values)]


async def disputes_of(conn: AsyncConnection, subjects: Sequence[str]) -> Sequence[Row[Any]]:
    """(id, status, evidence) of the disputes over payments of these subjects, or with evidence under their keys."""
    return (await conn.execute(DISPUTES, {"subjects": list(subjects)})).all()


async def empty_evidence(conn: AsyncConnection, dispute_ids: Sequence[str]) -> None:
    await conn.execute(EMPTY_EVIDENCE, {"ids": list(dispute_ids)})


async def save(conn: AsyncConnection, erasure: Erasure) -> None:
    """Write one that this transaction has locked."""
    await conn.execute(_UPDATE_ONE, {"rows": orjson.dumps([_row(erasure)]).decode()})


def insert(writes: Writes, erasures: Iterable[Erasure]) -> None:
    rows.add(writes, _INSERT, map(_row, erasures))


def update(writes: Writes, erasures: Iterable[Erasure]) -> None:
    rows.add(writes, _UPDATE, map(_row, erasures))


def _row(erasure: Erasure) -> dict[str, Any]:
    return {name: getattr(erasure, name) for name in _FIELDS}


def _erasure(row: Row[Any]) -> Erasure:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Erasure(**values | {"status": ErasureStatus(row.status)})
