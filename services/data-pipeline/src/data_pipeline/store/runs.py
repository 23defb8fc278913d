"""Runs of the reconciliation: one outcome of one day and channel, with its control totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.matching import LedgerLine
from data_pipeline.domain.reconciliation import Reconciliation
from data_pipeline.domain.settlement import SettlementFile
from data_pipeline.domain.totals import day_totals
from data_pipeline.store.settlement_files import KeptFile
from platform_kit.ids import new_id

RUNS_KEPT: Final = 50  # of one day and channel; how its outcome came about, as far as anyone asks

ADD_RUN = text(
    """
    INSERT INTO pipeline.reconciliation_run
        (id, channel, day, state, file_id, position, file_made_at, finished_at, ledger_count, file_count,
         matched_count, break_count, excluded_count, tolerated_count, totals)
    VALUES (:id, :channel, :day, :state, :file_id, :position, :file_made_at, :finished_at, :ledger_count,
            :file_count, :matched_count, :break_count, :excluded_count, :tolerated_count, CAST(:totals AS json))
    """
)
# Two runs of one day at once would close each other's breaks.
LOCK_DAY = text("SELECT pg_advisory_xact_lock(hashtext('reconciliation'), hashtext(:name))")
IS_NEWEST = text(
    """
    SELECT NOT EXISTS (
        SELECT FROM pipeline.reconciliation_run
        WHERE day = :day AND channel = :channel AND state <> 'refused' AND file_made_at > :file_made_at)
    """
)
_RUN = """
    r.id, r.channel, r.day, r.state, r.position, r.file_made_at, r.finished_at, r.ledger_count, r.file_count,
    r.matched_count, r.break_count, r.excluded_count, r.tolerated_count, r.totals, f.sha256, f.byte_count,
    f.line_count, f.fault, f.fault_line, f.fault_detail
"""
LATEST_RUNS = text(
    f"""
    SELECT {_RUN}
    FROM generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS days (day)
    CROSS JOIN unnest(CAST(:channels AS text[])) AS channels (channel)
    CROSS JOIN LATERAL (                                 -- reconciliation_run_latest_idx: one probe each
        SELECT * FROM pipeline.reconciliation_run
        WHERE day = days.day::date AND channel = channels.channel COLLATE "C"
        ORDER BY finished_at DESC LIMIT 1
    ) AS r
    JOIN pipeline.settlement_file f ON f.id = r.file_id
    ORDER BY r.day DESC, r.channel
    """  # noqa: S608
)
# The schedule adds a run a minute; the newest of a day say all that later ones do not.
FORGET_OLD_RUNS = text(
    """
    DELETE FROM pipeline.reconciliation_run WHERE day = :day AND channel = :channel AND finished_at < (
        SELECT min(finished_at) FROM (
            SELECT finished_at FROM pipeline.reconciliation_run
            WHERE day = :day AND channel = :channel ORDER BY finished_at DESC LIMIT :kept) AS newest)
    """
)
ANY_JUDGED = text("SELECT EXISTS (SELECT FROM pipeline.reconciliation_run WHERE state <> 'refused')")
RUN = text(
    f"""
    SELECT {_RUN} FROM pipeline.reconciliation_run r JOIN pipeline.settlement_file f ON f.id = r.file_id
    WHERE r.id = :id
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run over one day and channel; `position` is how much of the ledger it saw."""

    id: str
    channel: str
    day: date
    state: str
    file_id: str
    position: int
    file_made_at: datetime
    finished_at: datetime
    ledger_count: int = 0
    file_count: int = 0
    matched_count: int = 0
    break_count: int = 0
    excluded_count: int = 0
    tolerated_count: int = 0
    totals: tuple[dict[str, Any], ...] = ()


def refused_run(file: KeptFile, position: int, at: datetime) -> RunRow:
    """A refused file was judged by nobody: all counts are zero, and no break moves."""
    return RunRow(
        new_id("rec"), file.channel, file.settled_on, "refused", file.id, position, file.fetched_at, at
    )


def judged_run(
    file: KeptFile,
    read: SettlementFile,
    ledger: Sequence[LedgerLine],
    outcome: Reconciliation,
    position: int,
    at: datetime,
) -> RunRow:
    """What a run over a whole file came to."""
    of_day = [line for line in ledger if line.occurred_at.astimezone(UTC).date() == file.settled_on]
    return RunRow(
        id=new_id("rec"),
        channel=file.channel,
        day=file.settled_on,
        state="broken" if outcome.breaks else "balanced",
        file_id=file.id,
        position=position,
        file_made_at=file.fetched_at,
        finished_at=at,
        ledger_count=len(of_day),
        file_count=len(read.lines),
        matched_count=len(outcome.matches),
        break_count=len(outcome.breaks),
        excluded_count=len(outcome.excluded),
        tolerated_count=outcome.tolerated_count,
        totals=tuple(asdict(total) for total in day_totals(of_day, read.lines)),
    )


async def lock_day(conn: AsyncConnection, channel: str, day: date) -> None:
    """Be the only run over this day and channel until the transaction ends."""
    await conn.execute(LOCK_DAY, {"name": f"{channel} {day}"})


async def is_newest(conn: AsyncConnection, run: RunRow) -> bool:
    """Whether no kept run judged a later file of this day; a slow run must not undo a newer one's breaks."""
    values = {"day": run.day, "channel": run.channel, "file_made_at": run.file_made_at}
    return bool(await conn.scalar(IS_NEWEST, values))


async def add_run(conn: AsyncConnection, run: RunRow) -> None:
    await conn.execute(ADD_RUN, asdict(run) | {"totals": orjson.dumps(run.totals).decode()})


async def forget_old_runs(conn: AsyncConnection, channel: str, day: date) -> None:
    """Keep the newest RUNS_KEPT of this day and channel."""
    await conn.execute(FORGET_OLD_RUNS, {"channel": channel, "day": day, "kept": RUNS_KEPT})


async def any_judged(conn: AsyncConnection) -> bool:
    """Whether there is a run whose file was not refused."""
    return bool(await conn.scalar(ANY_JUDGED))


async def latest_runs(
    conn: AsyncConnection, channels: Sequence[str], first: date, last: date
) -> list[dict[str, Any]]:
    """The last run of each of these channels on each day, newest day first."""
    values = {"channels": list(channels), "first": first, "last": last}
    result = await conn.execute(LATEST_RUNS, values)
    return [dict(row) for row in result.mappings()]


async def run(conn: AsyncConnection, run_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(RUN, {"id": run_id})).mappings().one_or_none()
    return dict(row) if row else None
