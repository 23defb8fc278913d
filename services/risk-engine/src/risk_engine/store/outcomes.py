"""What became of payments, and what of that the velocity windows have not seen yet."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Outcome:
    """A payment ended: captured, declined or failed; and by which decision, as its gateway told."""

    payment_id: str
    outcome: str
    merchant_id: str
    assessment_id: str | None
    amount_minor: int
    currency: str
    is_own_block: bool
    occurred_at: datetime
    decision: str | None
    is_fallback: bool


ADD = text("""
    INSERT INTO risk.payment_outcome (payment_id, outcome, merchant_id, assessment_id, amount_minor, currency,
                                      is_own_block, occurred_at, decision, is_fallback)
    SELECT * FROM unnest(
        CAST(:payment_id AS text[]), CAST(:outcome AS text[]), CAST(:merchant_id AS text[]),
        CAST(:assessment_id AS text[]), CAST(:amount_minor AS bigint[]), CAST(:currency AS text[]),
        CAST(:is_own_block AS boolean[]), CAST(:occurred_at AS timestamptz[]),
        CAST(:decision AS text[]), CAST(:is_fallback AS boolean[]))
    ON CONFLICT (payment_id, outcome) DO NOTHING
""")

# By payment_outcome_seq_key; the payment's card, device and address come from its assessment (primary key).
DECLINES_AFTER = text("""
    SELECT o.seq, o.payment_id, a.merchant_id, a.idempotency_key, o.occurred_at, a.request
    FROM risk.payment_outcome o JOIN risk.assessment a ON a.id = o.assessment_id
    WHERE o.seq > :after AND o.outcome = 'declined' AND NOT o.is_own_block AND o.occurred_at > :since
    ORDER BY o.seq LIMIT :limit
""").columns(request=JSONB)

LAST_SEQ = text("SELECT coalesce(max(seq), 0) FROM risk.payment_outcome")

# By payment_outcome_occurred_at_idx.
PRUNE = text("DELETE FROM risk.payment_outcome WHERE occurred_at < :before")


async def add(conn: AsyncConnection, outcomes: Sequence[Outcome]) -> None:
    """Store outcomes; one that is known already changes nothing."""
    if outcomes:
        columns = [one.name for one in fields(Outcome)]
        await conn.execute(ADD, {name: [getattr(one, name) for one in outcomes] for name in columns})


async def declines_after(conn: AsyncConnection, after: int, since: datetime, limit: int) -> Sequence[Any]:
    """Declines above a sequence number and newer than `since`, as rows of DECLINES_AFTER."""
    return (await conn.execute(DECLINES_AFTER, {"after": after, "since": since, "limit": limit})).all()


async def last_seq(conn: AsyncConnection) -> int:
    """The highest sequence number given."""
    return int(await conn.scalar(LAST_SEQ) or 0)


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget outcomes older than `before`; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount
