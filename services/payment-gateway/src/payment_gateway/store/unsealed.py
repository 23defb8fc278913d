"""Rows of an older version, with personal data in clear: found by partial indexes that are empty once all is sealed."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.tables import customer, dispute, payment, payment_method
from payment_gateway.store.tables.customers import UNSEALED_BILLING, UNSEALED_CUSTOMER
from payment_gateway.store.tables.money import UNSEALED_EVIDENCE
from payment_gateway.store.tables.payments import UNSEALED_PAYER

_LOCKED = "ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED"
_BILLING = UNSEALED_BILLING.replace(":", "\\:")  # a cast is no parameter
_CUSTOMER = UNSEALED_CUSTOMER.replace(":", "\\:")

_EVIDENCE = UNSEALED_EVIDENCE.replace(":", "\\:")

# payment_unsealed_idx, customer_unsealed_idx, payment_method_unsealed_idx, dispute_unsealed_idx
LOCK_PAYMENTS = text(
    f"SELECT id, merchant_id, customer FROM {payment.fullname} WHERE {UNSEALED_PAYER} {_LOCKED}"
)
LOCK_CUSTOMERS = text(
    f"SELECT id, merchant_id, personal, name, email, description, metadata FROM {customer.fullname}"
    f" WHERE {_CUSTOMER} {_LOCKED}"
)
LOCK_PAYMENT_METHODS = text(
    f"SELECT id, merchant_id, billing_details FROM {payment_method.fullname} WHERE {_BILLING} {_LOCKED}"
)
# With whose payment it is about: evidence tells of who paid.
LOCK_DISPUTES = text(f"""
    SELECT id, merchant_id, payment_id, evidence, payer.customer ->> 'subject' AS payer
    FROM (SELECT id, merchant_id, payment_id, evidence FROM {dispute.fullname} WHERE {_EVIDENCE} {_LOCKED}) AS told
    CROSS JOIN LATERAL (SELECT customer FROM {payment.fullname} WHERE id = told.payment_id) AS payer
    ORDER BY id""")
IS_ANY = text(f"""
    SELECT EXISTS (SELECT FROM {payment.fullname} WHERE {UNSEALED_PAYER} AND merchant_id = :merchant_id)
        OR EXISTS (SELECT FROM {customer.fullname} WHERE {_CUSTOMER} AND merchant_id = :merchant_id)
        OR EXISTS (SELECT FROM {payment_method.fullname} WHERE {_BILLING} AND merchant_id = :merchant_id)
        OR EXISTS (SELECT FROM {dispute.fullname} WHERE {_EVIDENCE} AND merchant_id = :merchant_id)""")
# Neither version nor time changes: to its merchant the row is what it was.
SEAL_PAYMENTS = text(f"""
    UPDATE {payment.fullname} AS old SET customer = new.customer
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (id text, customer jsonb) WHERE old.id = new.id""")
SEAL_CUSTOMERS = text(f"""
    UPDATE {customer.fullname} AS old SET personal = new.personal, email_hash = new.email_hash,
           name = NULL, email = NULL, description = NULL, metadata = '{{}}'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (id text, personal jsonb, email_hash text)
    WHERE old.id = new.id""")
SEAL_PAYMENT_METHODS = text(f"""
    UPDATE {payment_method.fullname} AS old SET billing_details = new.billing_details
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (id text, billing_details jsonb)
    WHERE old.id = new.id""")

SEAL_DISPUTES = text(f"""
    UPDATE {dispute.fullname} AS old SET evidence = new.evidence
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (id text, evidence jsonb) WHERE old.id = new.id""")


async def is_any(conn: AsyncConnection, merchant_id: str) -> bool:
    """Whether something of this merchant is still in clear."""
    found: bool = (await conn.execute(IS_ANY, {"merchant_id": merchant_id})).scalar_one()
    return found


async def lock_payments(conn: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """(id, merchant_id, customer) of some, locked; what another run holds is left to it."""
    return (await conn.execute(LOCK_PAYMENTS, {"limit": limit})).all()


async def seal_payments(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await _write(conn, SEAL_PAYMENTS, rows)


async def lock_customers(conn: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """(id, merchant_id, personal, name, email, description, metadata) of some, locked."""
    return (await conn.execute(LOCK_CUSTOMERS, {"limit": limit})).all()


async def seal_customers(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await _write(conn, SEAL_CUSTOMERS, rows)


async def lock_payment_methods(conn: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """(id, merchant_id, billing_details) of some, locked."""
    return (await conn.execute(LOCK_PAYMENT_METHODS, {"limit": limit})).all()


async def seal_payment_methods(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await _write(conn, SEAL_PAYMENT_METHODS, rows)


async def lock_disputes(conn: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """(id, merchant_id, payment_id, evidence, payer) of some, locked; `payer` is the token of who paid, or None."""
    return (await conn.execute(LOCK_DISPUTES, {"limit": limit})).all()


async def seal_disputes(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await _write(conn, SEAL_DISPUTES, rows)


async def _write(conn: AsyncConnection, statement: TextClause, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await conn.execute(statement, {"rows": orjson.dumps(rows).decode()})
