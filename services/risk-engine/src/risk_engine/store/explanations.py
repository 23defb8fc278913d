"""Explanations: what the model's features did to a score, one per assessment, never edited."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.reason_codes import REASON_CODES, ModelReason

# In order of id, by assessment_to_explain_idx. By the missing row and not by a remembered id: an assessment that is
# committed late has a lower id than one already explained.
UNEXPLAINED = text("""
    SELECT a.id, a.facts FROM risk.assessment a
    WHERE a.decision <> 'allow' AND a.model = :model AND a.id > :after
      AND NOT EXISTS (SELECT 1 FROM risk.explanation e WHERE e.assessment_id = a.id)
    ORDER BY a.id LIMIT :limit
""").columns(facts=JSONB)

ADD = text("""
    INSERT INTO risk.explanation (assessment_id, model, reasons)
    SELECT assessment_id, model, CAST(reasons AS jsonb)
    FROM unnest(CAST(:assessment_id AS text[]), CAST(:model AS text[]), CAST(:reasons AS text[]))
      AS e (assessment_id, model, reasons)
    ON CONFLICT (assessment_id) DO NOTHING
""")


async def unexplained(conn: AsyncConnection, model: str, after: str, limit: int) -> Sequence[Any]:
    """Up to `limit` assessments (id, facts) above `after` that `model` scored and that are not explained."""
    return (await conn.execute(UNEXPLAINED, {"model": model, "after": after, "limit": limit})).all()


async def add(conn: AsyncConnection, made: Sequence[tuple[str, str, Sequence[ModelReason]]]) -> int:
    """Store (assessment id, model, reasons); returns how many were new."""
    if not made:
        return 0
    values = {
        "assessment_id": [assessment_id for assessment_id, _, _ in made],
        "model": [model for _, model, _ in made],
        "reasons": [orjson.dumps([asdict(one) for one in reasons]).decode() for _, _, reasons in made],
    }
    return (await conn.execute(ADD, values)).rowcount


def explanation_of(model: str | None, reasons: Sequence[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The `explanation` of an assessment, each reason with its sentence; None while there is none."""
    if model is None or reasons is None:
        return None
    return {
        "model": model,
        "reasons": [
            {"code": one["code"], "text": REASON_CODES[one["code"]].reviewer}
            | {name: one[name] for name in ("feature", "value", "contribution")}
            for one in reasons
        ],
    }
