"""Whether settlements are what the facts say: what invariants and the last state of a batch ask."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.store.settlements import LOOK_BACK, PAYMENTS

INSTRUCTED = text(
    """
    SELECT coalesce(sum(l.amount_minor - coalesce(p.amount_minor, 0)), 0)::bigint
    FROM pipeline.settlement_line l LEFT JOIN pipeline.fact_payout p ON p.payout_id = l.object_id
    WHERE l.batch_id = :id AND l.section = 'payouts' AND l.kind = 'payout'        -- settlement_line_payouts_idx
    """
)
CLOSED_SINCE = text(
    """
    SELECT id FROM pipeline.settlement_batch
    WHERE state IN ('closed', 'generated', 'paid') OR closes_at >= :after AND closed_at >= :after
    ORDER BY closes_at DESC, id DESC LIMIT :limit
    """
)
# Movements of a merchant's accounts that neither a line has nor the open batch will take, and those told under another
# merchant's name.
LEFT_OUT = text(
    """
    SELECT t.journal_id FROM pipeline.fact_transfer t
    JOIN pipeline.stored_event s ON s.stream = :stream AND s.position = t.position
    LEFT JOIN pipeline.settlement_batch k
        ON k.merchant_id = t.merchant_id AND k.currency = t.currency AND k.state = 'open'
    WHERE t.position > :position AND t.kind IN ('posted', 'post')                 -- fact_transfer_position_idx
      AND (t.debit LIKE 'merchant:%' OR t.credit LIKE 'merchant:%')
      AND NOT EXISTS (
          SELECT FROM pipeline.settlement_line l WHERE l.journal_id = t.journal_id AND l.line = t.line
      )
      AND (
          t.merchant_id IS NULL
          OR t.merchant_id NOT IN (split_part(t.debit, ':', 2), split_part(t.credit, ':', 2))
          OR t.occurred_at < k.opened_at - CAST(:look_back AS interval) AND NOT (
              s.received_at >= k.seen_from AND s.received_at - s.occurred_at > '00:00:30'::interval
          )
      )
    ORDER BY t.journal_id LIMIT 10
    """
)
# Lines that the facts do not have like this, and what the batch's lines come to.
UNLIKE_FACTS = text(
    """
    SELECT count(*) FROM pipeline.settlement_line l
    LEFT JOIN pipeline.fact_transfer t ON t.journal_id = l.journal_id AND t.line = l.line
    WHERE l.batch_id = :id AND (t.debit, t.credit, t.amount_minor, t.merchant_id, t.currency)
        IS DISTINCT FROM (l.debit, l.credit, l.amount_minor, CAST(:merchant_id AS text), CAST(:currency AS text))
    """
)
LINE_SUMS = text(
    """
    SELECT section, sum(effect_minor)::bigint AS effect_minor, count(*) AS line_count
    FROM pipeline.settlement_line WHERE batch_id = :id GROUP BY section
    """
)


async def closed_since(conn: AsyncConnection, after: datetime, limit: int) -> list[str]:
    """Batches that were closed since then or are on their way, the newest first."""
    return list((await conn.execute(CLOSED_SINCE, {"after": after, "limit": limit})).scalars())


async def unlike_facts(conn: AsyncConnection, batch: Mapping[str, Any]) -> int:
    """How many lines of the batch the facts do not have like this."""
    values = {name: batch[name] for name in ("id", "merchant_id", "currency")}
    return int(await conn.scalar(UNLIKE_FACTS, values) or 0)


async def line_sums(conn: AsyncConnection, batch_id: str) -> dict[str, tuple[int, int]]:
    """Section -> what its lines add to the balance, and how many they are."""
    return {
        row.section: (row.effect_minor, row.line_count)
        for row in await conn.execute(LINE_SUMS, {"id": batch_id})
    }


async def instructed_unlike_told(conn: AsyncConnection, batch_id: str) -> int:
    """Minor units that the batch's lines took out for payouts beyond what the facts of these say."""
    return int(await conn.scalar(INSTRUCTED, {"id": batch_id}) or 0)


async def left_out(conn: AsyncConnection, position: int) -> list[str]:
    """Up to ten journals told after this position of which no batch has, or will take, a movement."""
    values = {"position": position, "look_back": LOOK_BACK, "stream": PAYMENTS}
    return list((await conn.execute(LEFT_OUT, values)).scalars())
