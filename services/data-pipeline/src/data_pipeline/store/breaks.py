"""Reconciliation runs and breaks. A break keeps id and age over re-runs, and closes when not found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import reconciliation_break

RUNS_KEPT: Final = 50  # of one day and channel; how its outcome came about, as far as anyone asks

_COLUMNS = tuple(column.name for column in reconciliation_break.columns if column.name != "closed_at")
_SAME = ("id", "day", "channel", "break_class", "opened_at")  # what a re-run may not change

OPEN_BREAKS = insert_many(
    reconciliation_break,
    _COLUMNS,
    "ON CONFLICT (id) DO UPDATE SET closed_at = NULL, "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _SAME),
)
CLOSE_OTHERS = text(
    """
    UPDATE pipeline.reconciliation_break SET closed_at = :at
    WHERE day = :day AND channel = :channel AND closed_at IS NULL AND run_id <> :run_id
    """
)
ADD_RUN = text(
    """
    INSERT INTO pipeline.reconciliation_run
        (id, channel, day, state, file_id, position, file_made_at, finished_at, ledger_count, file_count,
         matched_count, break_count, excluded_count, totals)
    VALUES (:id, :channel, :day, :state, :file_id, :position, :file_made_at, :finished_at, :ledger_count,
            :file_count, :matched_count, :break_count, :excluded_count, CAST(:totals AS json))
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
    r.matched_count, r.break_count, r.excluded_count, r.totals, f.sha256, f.byte_count, f.line_count, f.fault,
    f.fault_line, f.fault_detail
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
RUN = text(
    f"""
    SELECT {_RUN} FROM pipeline.reconciliation_run r JOIN pipeline.settlement_file f ON f.id = r.file_id
    WHERE r.id = :id
    """  # noqa: S608
)
BREAKS = text(
    """
    SELECT * FROM pipeline.reconciliation_break
    WHERE day BETWEEN :first AND :last AND closed_at IS NULL
    ORDER BY day DESC, channel, break_class, id LIMIT :limit
    """
)
COUNT_OPEN = text("SELECT count(*) FROM pipeline.reconciliation_break WHERE closed_at IS NULL")


@dataclass(frozen=True, slots=True)
class BreakRow:
    """A break with the evidence of both sides; what one side does not have is None."""

    id: str
    day: date
    channel: str
    break_class: str
    settled_type: str
    rule: str | None
    journal_id: str | None
    payment_id: str | None
    channel_reference: str | None
    channel_key: str | None
    ledger_amount_minor: int | None
    ledger_currency: str | None
    ledger_at: datetime | None
    file_amount_minor: int | None
    file_currency: str | None
    file_line: int | None
    file_sha256: str | None
    run_id: str
    opened_at: datetime
    last_seen_at: datetime


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
    ledger_count: int
    file_count: int
    matched_count: int
    break_count: int
    excluded_count: int
    totals: list[dict[str, Any]]


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


async def replace_breaks(conn: AsyncConnection, run: RunRow, breaks: Sequence[BreakRow]) -> None:
    """Open what this run found, close what it did not find again."""
    await conn.execute(OPEN_BREAKS, arrays(breaks, _COLUMNS))
    await conn.execute(
        CLOSE_OTHERS, {"day": run.day, "channel": run.channel, "run_id": run.id, "at": run.finished_at}
    )


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


async def open_breaks(conn: AsyncConnection, first: date, last: date, limit: int) -> list[dict[str, Any]]:
    result = await conn.execute(BREAKS, {"first": first, "last": last, "limit": limit})
    return [dict(row) for row in result.mappings()]


async def count_open(conn: AsyncConnection) -> int:
    return int(await conn.scalar(COUNT_OPEN) or 0)
