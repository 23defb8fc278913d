"""Decisions of a model whose end is known, newest label first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.model_quality import Labelled

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


async def with_facts(conn: AsyncConnection, model: str, since: datetime) -> Sequence[Any]:
    """Labelled decisions of the model since then: is_fraud, score, facts."""
    return (await conn.execute(WITH_FACTS, {"model": model, "since": since})).all()


async def newest(conn: AsyncConnection, model: str, limit: int) -> list[Labelled]:
    """At most `limit` labelled decisions of the model."""
    rows = await conn.execute(NEWEST, {"model": model, "limit": limit})
    return [Labelled(row.score, row.is_fraud) for row in rows]
