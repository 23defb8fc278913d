"""Payments in and out of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.payment import Payment, Status
from payment_gateway.store import rows
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import payment as table
from platform_kit.writes import Writes

_COLUMNS = ", ".join(column.name for column in table.columns)
_FIELDS = tuple(f.name for f in fields(Payment))
_STATUS = _FIELDS.index("status")
_MUTABLE = (
    "status", "version", "channel", "amount_minor", "capture", "method", "authorised_minor", "captured_minor",
    "refunded_minor", "disputed_minor", "fee_minor", "fee_returned_minor", "surcharge_refunded_minor",
    "open_attempt_id", "authorised_by",
    "decline_code", "next_action", "risk", "reference", "description", "statement_descriptor", "customer",
    "metadata", "updated_at",
)  # fmt: skip

# Primary key; locked in id order, so that two flushes never wait for each other in a circle.
LOCK_PAYMENTS = (
    f"SELECT ROW({', '.join(_FIELDS)}) FROM {table.fullname}"  # noqa: S608 - our own names
    " WHERE id = ANY(CAST(:payment_ids AS text[])) ORDER BY id FOR UPDATE"
)
GET_PAYMENT = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id AND merchant_id = :merchant_id")  # noqa: S608
GET_ANY_PAYMENT = text(f"SELECT {_COLUMNS} FROM {table.fullname} WHERE id = :id")  # noqa: S608
# payment_by_assessment_idx: only what is under review is in it
GET_ASSESSED = text(f"""
    SELECT {_COLUMNS} FROM {table.fullname}
    WHERE risk ->> 'assessment_id' = :assessment_id AND risk ->> 'decision' = 'review'
""")  # noqa: S608
# payment_by_merchant_idx, payment_by_subject_idx
PAYMENTS = PageQuery(
    table,
    _COLUMNS,
    {
        "status": "status = :status",
        "reference": "reference = :reference",
        "subjects": "customer ->> 'subject' = ANY(string_to_array(:subjects, ','))",
        "channel_was_asked": "(channel IS NOT NULL) = CAST(:channel_was_asked AS boolean)",
    },
    ids="pay",
)
# payment_may_expire_idx
LIST_EXPIRING = text(
    f"SELECT {_COLUMNS} FROM {table.fullname}"  # noqa: S608
    " WHERE status IN ('authorised', 'partially_captured', 'requires_action')"
    " AND (status = 'requires_action' OR open_attempt_id IS NULL)"
    " AND created_at < now() - make_interval("
    "   secs => CASE status WHEN 'requires_action' THEN CAST(:action_s AS double precision)"
    "   ELSE CAST(:hold_s AS double precision) END)"
    " ORDER BY created_at LIMIT :limit"
)

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, _MUTABLE)


def locked(records: Iterable[Sequence[Any]]) -> dict[str, Payment]:
    """What `LOCK_PAYMENTS` has read, by id."""
    return {payment.id: payment for payment in map(_of_values, records)}


async def get(conn: AsyncConnection, payment_id: str, merchant_id: str | None) -> Payment | None:
    """A merchant's payment; another merchant's is as absent as none. `merchant_id` None = the platform itself asks."""
    if merchant_id is None:
        row = (await conn.execute(GET_ANY_PAYMENT, {"id": payment_id})).first()
    else:
        row = (await conn.execute(GET_PAYMENT, {"id": payment_id, "merchant_id": merchant_id})).first()
    return _payment(row) if row else None


async def assessed(conn: AsyncConnection, assessment_id: str) -> Payment | None:
    """The payment under review that was held because of this assessment."""
    row = (await conn.execute(GET_ASSESSED, {"assessment_id": assessment_id})).first()
    return _payment(row) if row else None


async def page(
    conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
) -> Page[Payment]:
    """A merchant's payments, newest first; `filters` are those of `PAYMENTS`."""
    found, has_more = await PAYMENTS.rows(conn, merchant_id, window, **filters)
    return Page([_payment(row) for row in found], has_more)


async def expiring(conn: AsyncConnection, hold_s: int, action_s: int, limit: int) -> Sequence[Payment]:
    """Holds, and actions that no payer took, which are older than their lifetimes (seconds), oldest first."""
    found = await conn.execute(LIST_EXPIRING, {"hold_s": hold_s, "action_s": action_s, "limit": limit})
    return [_payment(row) for row in found]


def insert(writes: Writes, payments: Iterable[Payment]) -> None:
    rows.add(writes, _INSERT, map(_row, payments))


def update(writes: Writes, payments: Iterable[Payment]) -> None:
    rows.add(writes, _UPDATE, map(_row, payments))


def _row(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in _FIELDS}


def _payment(row: Row[Any]) -> Payment:
    return _of_values([getattr(row, name) for name in _FIELDS])


def _of_values(values: Sequence[Any]) -> Payment:
    """A payment of its columns in the order of `_FIELDS`."""
    listed = list(values)
    listed[_STATUS] = Status(listed[_STATUS])
    return Payment(*listed)
