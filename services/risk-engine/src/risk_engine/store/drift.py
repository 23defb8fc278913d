"""Samples of decisions spread over a day, and the references that they are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat

SLOTS = 96  # quarters of an hour
PER_SLOT = 21

LOOKED_AT = 100  # in a slot: most may be of the model before, or have been made without a part

# The first decisions of each slot: 96 probes of assessment_created_at_idx, however much there is between them.
SAMPLE = text(f"""
    SELECT one.facts, one.score
    FROM generate_series(0, {SLOTS - 1}) AS slot (number) CROSS JOIN LATERAL (
        SELECT facts, score, created_at FROM (
            SELECT facts, score, created_at, model, outcome FROM risk.assessment
            WHERE created_at >= CAST(:since AS timestamptz) + slot.number * interval '15 minutes'
              AND created_at < CAST(:since AS timestamptz) + (slot.number + 1) * interval '15 minutes'
            ORDER BY created_at LIMIT {LOOKED_AT}
        ) AS first
        WHERE model = :model AND outcome -> 'degraded' = '[]'
        ORDER BY created_at LIMIT {PER_SLOT}
    ) AS one ORDER BY one.created_at
""").columns(facts=JSONB)  # noqa: S608 - our own constants

ADD = text("""
    INSERT INTO risk.drift_reference (model, samples, pinned_by) VALUES (:model, CAST(:samples AS jsonb), :pinned_by)
    RETURNING id, model, pinned_by, pinned_at
""")

# Index: drift_reference_model_id_idx.
NEWEST = text("""
    SELECT id, model, samples, pinned_by, pinned_at FROM risk.drift_reference WHERE model = :model
    ORDER BY id DESC LIMIT 1
""").columns(samples=JSONB)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model saw when it was pinned: values by column."""

    id: int
    model: str
    samples: Mapping[str, Sequence[float]]
    pinned_by: str
    pinned_at: datetime

    def as_answer(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "drift_reference",
            "model": self.model,
            "pinned_by": self.pinned_by,
            "pinned_at": isoformat(self.pinned_at),
        }


async def sample(conn: AsyncConnection, model: str, since: datetime) -> list[tuple[dict[str, Any], int]]:
    """Facts and score of decisions that had everything, spread over the day that began at `since`."""
    rows = await conn.execute(SAMPLE, {"model": model, "since": since})
    return [(row.facts, row.score) for row in rows]


async def pin(
    conn: AsyncConnection, model: str, samples: Mapping[str, Sequence[float]], by: str
) -> Reference:
    """A new reference of the model; the older ones stay."""
    values = {"model": model, "samples": orjson.dumps(samples).decode(), "pinned_by": by}
    row = (await conn.execute(ADD, values)).one()
    return Reference(row.id, row.model, samples, row.pinned_by, row.pinned_at)


async def reference(conn: AsyncConnection, model: str) -> Reference | None:
    """The newest reference of the model."""
    row = (await conn.execute(NEWEST, {"model": model})).first()
    return None if row is None else Reference(**row._mapping)
