"""Slots of periodic jobs: whoever inserts the row runs the job, so two schedulers do no harm."""

# ruff: noqa: S608 - the table name is ours, never input

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

SLOTS_KEPT: Final = 100  # of each job; more than a day is of no use to anyone


def job_run_table(metadata: MetaData) -> Table:
    """`job_run` in the schema of `metadata`: one row per slot of a periodic job."""
    return Table(
        "job_run",
        metadata,
        Column("job", Text(collation="C"), primary_key=True),
        Column("slot", DateTime(timezone=True), primary_key=True, comment="start of the slot, database time"),
        Column("claimed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("finished_at", DateTime(timezone=True)),
        Column("attempts", Integer, nullable=False, server_default=text("1")),
    )


async def claim_slot(
    conn: AsyncConnection, table: Table, job: str, every_s: float, *, lease_s: float | None = None
) -> datetime | None:
    """Take the slot of `every_s` seconds that database time is in: of any number of callers one gets its start.

    With `lease_s` a slot that was claimed longer ago and never finished may be taken again. Slots that are SLOTS_KEPT
    older are removed. One statement: a job that looks every second pays for each.
    """
    values = {"job": job, "every_s": every_s, "lease_s": lease_s}
    slot: datetime | None = await conn.scalar(_sql(table)["CLAIM"], values)
    return slot


async def finish_slot(conn: AsyncConnection, table: Table, job: str, slot: datetime) -> None:
    """The job ran to its end; nobody takes this slot again."""
    await conn.execute(_sql(table)["FINISH"], {"job": job, "slot": slot})


async def release_slot(conn: AsyncConnection, table: Table, job: str, slot: datetime) -> None:
    """The job failed: the next tick may take the slot again."""
    await conn.execute(_sql(table)["RELEASE"], {"job": job, "slot": slot})


@lru_cache(maxsize=16)
def _sql(table: Table) -> Mapping[str, TextClause]:
    name = table.fullname
    sources = {
        # The processes' clocks have no say. Index of both: the primary key.
        "CLAIM": f"""
            WITH current (slot) AS (
                SELECT to_timestamp(floor(extract(epoch FROM now()) / CAST(:every_s AS float8))
                                    * CAST(:every_s AS float8))
            ), forgotten AS (
                DELETE FROM {name} o USING current c WHERE o.job = :job
                   AND o.slot < c.slot - make_interval(secs => CAST(:every_s AS float8)) * {SLOTS_KEPT}
            )
            INSERT INTO {name} AS j (job, slot) SELECT :job, slot FROM current
            ON CONFLICT (job, slot) DO UPDATE SET claimed_at = now(), attempts = j.attempts + 1
                WHERE j.finished_at IS NULL
                  AND j.claimed_at < now() - make_interval(secs => CAST(:lease_s AS float8))
            RETURNING slot""",
        "FINISH": f"UPDATE {name} SET finished_at = now() WHERE job = :job AND slot = :slot",
        "RELEASE": f"""
            UPDATE {name} SET claimed_at = to_timestamp(0) WHERE job = :job AND slot = :slot
               AND finished_at IS NULL""",
    }
    return {key: text(source) for key, source in sources.items()}
