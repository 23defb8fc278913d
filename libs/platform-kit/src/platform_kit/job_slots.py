"""Slots of periodic jobs: whoever inserts the row runs the job, so two schedulers do no harm."""

# ruff: noqa: S608 - the table name is ours, never input

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
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
    conn: AsyncConnection, table: Table, job: str, slot: datetime, *, lease_s: float | None = None
) -> bool:
    """Take a slot; of any number of callers one gets True.

    With `lease_s` a slot that was claimed longer ago and never finished may be taken again.
    """
    values = {"job": job, "slot": slot, "lease_s": lease_s}
    return await conn.scalar(_sql(table)["CLAIM"], values) is not None


async def finish_slot(conn: AsyncConnection, table: Table, job: str, slot: datetime) -> None:
    """The job ran to its end; nobody takes this slot again."""
    await conn.execute(_sql(table)["FINISH"], {"job": job, "slot": slot})


async def release_slot(conn: AsyncConnection, table: Table, job: str, slot: datetime) -> None:
    """The job failed: the next tick may take the slot again."""
    await conn.execute(_sql(table)["RELEASE"], {"job": job, "slot": slot})


async def forget_slots(conn: AsyncConnection, table: Table, job: str, slot: datetime, every_s: float) -> None:
    """Remove slots of `job` that are SLOTS_KEPT older than this one."""
    await conn.execute(_sql(table)["FORGET"], {"job": job, "slot": slot, "every_s": every_s})


async def current_slot(conn: AsyncConnection, every_s: float) -> datetime:
    """The start of the slot that database time is in: the processes' clocks have no say."""
    seconds = await conn.scalar(_CURRENT_SLOT, {"every_s": every_s})
    assert seconds is not None
    return datetime.fromtimestamp(float(seconds), UTC)


_CURRENT_SLOT: Final = text(
    "SELECT floor(extract(epoch FROM now()) / CAST(:every_s AS float8)) * CAST(:every_s AS float8)"
)


@lru_cache(maxsize=16)
def _sql(table: Table) -> Mapping[str, TextClause]:
    name = table.fullname
    sources = {
        "CLAIM": f"""
            INSERT INTO {name} AS j (job, slot) VALUES (:job, :slot)
            ON CONFLICT (job, slot) DO UPDATE SET claimed_at = now(), attempts = j.attempts + 1
                WHERE j.finished_at IS NULL
                  AND j.claimed_at < now() - make_interval(secs => CAST(:lease_s AS float8))
            RETURNING 1""",
        "FINISH": f"UPDATE {name} SET finished_at = now() WHERE job = :job AND slot = :slot",
        "RELEASE": f"""
            UPDATE {name} SET claimed_at = to_timestamp(0) WHERE job = :job AND slot = :slot
               AND finished_at IS NULL""",
        # Index: the primary key. Slots of one job are few.
        "FORGET": f"""
            DELETE FROM {name} WHERE job = :job AND slot < CAST(:slot AS timestamptz)
               - make_interval(secs => CAST(:every_s AS float8)) * {SLOTS_KEPT}""",
    }
    return {key: text(source) for key, source in sources.items()}
