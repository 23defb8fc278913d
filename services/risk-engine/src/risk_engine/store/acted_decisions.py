"""What the gateway acted upon beside what is stored, in slices; and where the two differed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.acted_decisions import EXAMPLES_MAX, ActedDecision, Difference, Found

COUNTED_MAX = 10_000  # differences that an alert counts: where every payment differs, no more need be said

# By payment_outcome_seq_key, each assessment by its primary key. What is not settled ends the slice: its assessment may
# still be on the way. The materialised inner query is bounded before anything is joined.
NEXT = text("""
    WITH slice AS MATERIALIZED (
        SELECT seq, payment_id, outcome, merchant_id, assessment_id, decision, is_fallback, recorded_at
        FROM risk.payment_outcome WHERE seq > :after ORDER BY seq LIMIT :limit
    )
    SELECT s.*, a.decision AS stored
    FROM slice s LEFT JOIN risk.assessment a ON a.id = s.assessment_id AND a.merchant_id = s.merchant_id
    WHERE s.seq < coalesce((SELECT min(seq) FROM slice WHERE recorded_at > :settled), 9223372036854775807)
    ORDER BY s.seq
""")

ADD = text("""
    INSERT INTO risk.decision_difference (payment_id, outcome, kind, merchant_id, assessment_id, acted_on, stored,
                                          found_at)
    SELECT payment_id, outcome, kind, merchant_id, assessment_id, acted_on, stored, :found_at
    FROM unnest(
        CAST(:payment_id AS text[]), CAST(:outcome AS text[]), CAST(:kind AS text[]), CAST(:merchant_id AS text[]),
        CAST(:assessment_id AS text[]), CAST(:acted_on AS text[]), CAST(:stored AS text[]))
      AS d (payment_id, outcome, kind, merchant_id, assessment_id, acted_on, stored)
    ON CONFLICT DO NOTHING
""")

# By decision_difference_found_at_idx.
RECENT = text("""
    SELECT kind, count(*) AS number, array_agg(payment_id ORDER BY found_at DESC, payment_id) AS payments
    FROM (SELECT kind, payment_id, found_at FROM risk.decision_difference
          WHERE found_at > :since ORDER BY found_at DESC LIMIT :limit) AS newest
    GROUP BY kind ORDER BY kind
""")

# By decision_difference_found_at_idx.
PRUNE = text("DELETE FROM risk.decision_difference WHERE found_at < :before")


async def after(
    conn: AsyncConnection, seen: int, settled: datetime, limit: int
) -> tuple[int, Sequence[ActedDecision]]:
    """The next payments that ended, until the first that was recorded after `settled`; and how far that is."""
    rows = (await conn.execute(NEXT, {"after": seen, "settled": settled, "limit": limit})).all()
    acted = [
        ActedDecision(
            payment_id=row.payment_id,
            outcome=row.outcome,
            merchant_id=row.merchant_id,
            assessment_id=row.assessment_id,
            acted_on=row.decision,
            is_fallback=row.is_fallback,
            stored=row.stored,
        )
        for row in rows
    ]
    return (rows[-1].seq if rows else seen), acted


async def add(
    conn: AsyncConnection, found: Sequence[tuple[ActedDecision, Difference]], found_at: datetime
) -> None:
    """Keep what differs."""
    if found:
        names = ("payment_id", "outcome", "merchant_id", "assessment_id", "acted_on", "stored")
        values = {name: [getattr(acted, name) for acted, _ in found] for name in names}
        await conn.execute(ADD, values | {"kind": [kind.value for _, kind in found], "found_at": found_at})


async def recent(conn: AsyncConnection, since: datetime) -> dict[Difference, Found]:
    """What was found since, by kind."""
    rows = await conn.execute(RECENT, {"since": since, "limit": COUNTED_MAX})
    return {Difference(row.kind): Found(row.number, tuple(row.payments[:EXAMPLES_MAX])) for row in rows}


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget differences found before a time; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount
