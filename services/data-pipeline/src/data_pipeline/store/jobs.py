"""The schedule's own notes: when each job ran last, for how long, and how often it failed lately."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A hundred slots of each job are kept. One that failed was given back: claimed in 1970, never finished.
LATEST = text(
    """
    SELECT DISTINCT ON (job) job, slot, claimed_at, finished_at,
           finished_at IS NULL AND claimed_at = to_timestamp(0) AS is_failed,
           min(slot) OVER of_job AS first_slot, max(finished_at) OVER of_job AS last_finished_at,
           count(*) FILTER (WHERE finished_at IS NULL AND claimed_at = to_timestamp(0)) OVER of_job AS failed_count,
           count(*) FILTER (WHERE attempts > 1) OVER of_job AS repeated_count,
           count(*) OVER of_job AS slot_count,
           max(finished_at - claimed_at) OVER of_job AS longest
    FROM pipeline.job_run WINDOW of_job AS (PARTITION BY job) ORDER BY job, slot DESC
    """
)


async def latest(conn: AsyncConnection) -> list[dict[str, Any]]:
    """The last slot of each job, and its record over those that are kept."""
    return [dict(row) for row in (await conn.execute(LATEST)).mappings()]
