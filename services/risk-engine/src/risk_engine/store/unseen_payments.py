"""Payments that were decided while Redis did not answer: the velocity windows may not have seen them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

# By assessment_unseen_idx, which has nothing else in it.
UNSEEN = text("""
    SELECT id, merchant_id, idempotency_key, payment_id, request,
           CAST(facts ->> 'amount_reference_minor' AS bigint) AS amount
    FROM risk.assessment WHERE id > :after AND id < :before AND outcome -> 'degraded' @> '["velocity"]'
    ORDER BY id LIMIT :limit
""").columns(request=JSONB)


async def unseen_between(conn: AsyncConnection, after: str, before: str, limit: int) -> Sequence[Any]:
    """Rows of UNSEEN between two ids, oldest first."""
    return (await conn.execute(UNSEEN, {"after": after, "before": before, "limit": limit})).all()
