"""Whether a periodic job did its work lately."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# By the primary key: a hundred slots of a job are kept.
FINISHED_WITHIN = text("""
    SELECT EXISTS (SELECT FROM risk.job_run WHERE job = :job AND finished_at > now() - CAST(:within AS interval))
""")


async def finished_within(conn: AsyncConnection, job: str, within: timedelta) -> bool:
    """Whether a run of the job ended well so recently, by the database's clock."""
    return bool(await conn.scalar(FINISHED_WITHIN, {"job": job, "within": within}))
