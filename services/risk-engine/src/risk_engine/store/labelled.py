"""Decisions of a model whose end is known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.ids import earliest_id
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.model_quality import Labelled
from risk_engine.domain.retraining import Period
from risk_engine.store.labels import TRUTH

LOOKED_AT_MAX = 20_000  # labels, of all models and sources: the look is bounded whatever there is

# Backwards by label_pkey: who was spoken of lately. What is true of them all their labels say (TRUTH).
_SPOKEN_OF = f"""
    FROM (SELECT DISTINCT assessment_id FROM (
              SELECT assessment_id FROM risk.label ORDER BY id DESC LIMIT {LOOKED_AT_MAX}) AS lately) AS l
    JOIN risk.assessment a ON a.id = l.assessment_id AND a.model = :model
    CROSS JOIN LATERAL ({TRUTH}) known
"""  # noqa: S608 - our own constants

NEWEST = text(f"""
    SELECT a.score, known.is_fraud {_SPOKEN_OF}
    WHERE known.is_fraud IS NOT NULL ORDER BY known.labelled_at DESC, a.id DESC LIMIT :limit
""")

# The facts are what the model saw.
WITH_FACTS = text(f"""
    SELECT a.payment_id, known.is_fraud, a.score, a.facts {_SPOKEN_OF}
    WHERE known.is_fraud IS NOT NULL AND a.created_at >= :since
""").columns(facts=JSONB)


# In order of id, by assessment_pkey, whose ids follow time. A block has a truth only where somebody said it, or where
# it was let through; and a decision without windows did not see the payer.
OF_PERIOD = text(f"""
    SELECT a.id, a.created_at, a.facts, coalesce(known.is_fraud, false) AS is_fraud
    FROM risk.assessment a CROSS JOIN LATERAL ({TRUTH}) known
    WHERE a.id > :after AND a.id < :before
      AND (known.is_fraud IS NOT NULL OR a.decision <> 'block' OR a.outcome -> 'let_through' IS NOT NULL)
      AND NOT (a.outcome -> 'degraded' ?| CAST(:blind AS text[]))
    ORDER BY a.id LIMIT :limit
""").columns(facts=JSONB)  # noqa: S608
BLIND = [Fault.VELOCITY.value, Fault.VELOCITY_COLD.value, Fault.REFERENCE_RATE.value]


async def of_period(conn: AsyncConnection, period: Period, after: str, limit: int) -> Sequence[Any]:
    """Decisions of a period whose truth is known, with an id above `after`: id, created_at, facts, is_fraud."""
    values = {
        "after": max(after, earliest_id("asm", period.since)),
        "before": earliest_id("asm", period.until),
        "known_at": period.known_at,
        "blind": BLIND,
        "limit": limit,
    }
    return (await conn.execute(OF_PERIOD, values)).all()


async def with_facts(conn: AsyncConnection, model: str, since: datetime, known_at: datetime) -> Sequence[Any]:
    """Labelled decisions of the model since then: is_fraud, score, facts."""
    return (await conn.execute(WITH_FACTS, {"model": model, "since": since, "known_at": known_at})).all()


async def newest(conn: AsyncConnection, model: str, known_at: datetime, limit: int) -> list[Labelled]:
    """At most `limit` labelled decisions of the model, the latest known first."""
    rows = await conn.execute(NEWEST, {"model": model, "known_at": known_at, "limit": limit})
    return [Labelled(row.score, row.is_fraud) for row in rows]
