"""Payments of all merchants by who paid or with what card, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# merchant_pkey: ids rise with time.
NEWEST_MERCHANTS = text("SELECT id FROM payments.merchant ORDER BY id DESC LIMIT :limit")
# customer_by_email_idx
SUBJECTS_OF_CUSTOMERS = text(
    """
    SELECT personal ->> 'subject' AS subject FROM payments.customer
    WHERE email_hash = ANY(CAST(:hashes AS text[])) AND personal IS NOT NULL AND deleted_at IS NULL
    """
)
# payment_by_subject_idx
OF_SUBJECTS = text(
    """
    SELECT id, merchant_id, created_at FROM payments.payment
    WHERE customer ->> 'subject' = ANY(CAST(:subjects AS text[])) ORDER BY id DESC LIMIT :limit
    """
)
# payment_pkey backwards, and no further than :looked_at of it.
_NEWEST = """
    SELECT id, merchant_id, created_at, method FROM payments.payment
    WHERE CAST(:before AS text) IS NULL OR id < :before ORDER BY id DESC"""
BY_LAST_FOUR = text(
    f"""
    SELECT id, merchant_id, created_at, CASE WHEN method ? 'shown' THEN NULL ELSE method ->> 'token' END AS token
    FROM ({_NEWEST} LIMIT :looked_at) AS newest
    WHERE method -> 'shown' ->> 'last4' = :digits
       OR (NOT method ? 'shown' AND method ->> 'token' LIKE ANY(CAST(:stems AS text[])))
    ORDER BY id DESC LIMIT :limit
    """  # noqa: S608 - a statement of our own
)
END = text(
    """
    SELECT id FROM payments.payment
    WHERE CAST(:before AS text) IS NULL OR id < :before ORDER BY id DESC OFFSET :last LIMIT 1
    """
)


async def newest_merchants(conn: AsyncConnection, limit: int) -> Sequence[str]:
    return [row.id for row in await conn.execute(NEWEST_MERCHANTS, {"limit": limit})]


async def subjects_of_customers(conn: AsyncConnection, hashes: Sequence[str]) -> Sequence[str]:
    """Whom saved customers with one of these e-mails are about."""
    return [row.subject for row in await conn.execute(SUBJECTS_OF_CUSTOMERS, {"hashes": list(hashes)})]


async def of_subjects(conn: AsyncConnection, subjects: Sequence[str], limit: int) -> Sequence[Any]:
    if not subjects:
        return []
    return (await conn.execute(OF_SUBJECTS, {"subjects": list(subjects), "limit": limit})).all()


async def by_last_four(
    conn: AsyncConnection,
    digits: str,
    stems: Sequence[str],
    *,
    before: str | None,
    looked_at: int,
    limit: int,
) -> Sequence[Any]:
    """With a card that shows these digits, or by a test token like one of `stems`, which is in `token` then."""
    values = {
        "digits": digits,
        "stems": list(stems),
        "before": before,
        "looked_at": looked_at,
        "limit": limit,
    }
    return (await conn.execute(BY_LAST_FOUR, values)).all()


async def end_of(conn: AsyncConnection, *, before: str | None, looked_at: int) -> str | None:
    """The last of the payments that were looked at, when there were so many; None when all were."""
    found: str | None = await conn.scalar(END, {"before": before, "last": looked_at - 1})
    return found
