"""Decisions of a model whose end is known, newest label first."""

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

LOOKED_AT_MAX = 20_000  # labels, of all models and sources: the look is bounded whatever there is

# Backwards by label_pkey, each with its decision by assessment_pkey. Of several labels of a payment the newest counts.
NEWEST = text(f"""
    SELECT score, kind = 'fraud' AS is_fraud FROM (
        SELECT DISTINCT ON (l.payment_id) l.id, l.kind, a.score
        FROM (SELECT id, payment_id, assessment_id, kind FROM risk.label
              ORDER BY id DESC LIMIT {LOOKED_AT_MAX}) AS l
        JOIN risk.assessment a ON a.id = l.assessment_id AND a.model = :model
        ORDER BY l.payment_id, l.id DESC
    ) AS newest ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - our own constant


# Backwards by label_pkey, as above; the facts are what the model saw.
WITH_FACTS = text(f"""
    SELECT DISTINCT ON (l.payment_id) l.payment_id, l.kind = 'fraud' AS is_fraud, a.score, a.facts
    FROM (SELECT id, payment_id, assessment_id, kind FROM risk.label ORDER BY id DESC LIMIT {LOOKED_AT_MAX}) AS l
    JOIN risk.assessment a ON a.id = l.assessment_id AND a.model = :model AND a.created_at >= :since
    ORDER BY l.payment_id, l.id DESC
""").columns(facts=JSONB)  # noqa: S608 - our own constant


# In order of id, by assessment_pkey, whose ids follow time; each label by label_assessment_id_idx. A block has a truth
# only where somebody said it, or where it was let through; and a decision without windows did not see the payer.
OF_PERIOD = text("""
    SELECT a.id, a.created_at, a.facts, coalesce(known.kind = 'fraud', false) AS is_fraud
    FROM risk.assessment a
    LEFT JOIN LATERAL (
        SELECT l.kind FROM risk.label l WHERE l.assessment_id = a.id AND l.labelled_at <= :known_at
        ORDER BY l.labelled_at DESC, l.id DESC LIMIT 1) known ON true
    WHERE a.id > :after AND a.id < :before
      AND (known.kind IS NOT NULL OR a.decision <> 'block' OR a.outcome -> 'let_through' IS NOT NULL)
      AND NOT (a.outcome -> 'degraded' ?| CAST(:blind AS text[]))
    ORDER BY a.id LIMIT :limit
""").columns(facts=JSONB)
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


async def with_facts(conn: AsyncConnection, model: str, since: datetime) -> Sequence[Any]:
    """Labelled decisions of the model since then: is_fraud, score, facts."""
    return (await conn.execute(WITH_FACTS, {"model": model, "since": since})).all()


async def newest(conn: AsyncConnection, model: str, limit: int) -> list[Labelled]:
    """At most `limit` labelled decisions of the model."""
    rows = await conn.execute(NEWEST, {"model": model, "limit": limit})
    return [Labelled(row.score, row.is_fraud) for row in rows]
