"""Copies of facts and roll-ups: made, written to by the very statements of the consumer, compared, swapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.archive import ArchiveFile
from data_pipeline.domain.replay import ReplayState

_REBUILT: Final = re.compile(
    r"\b(fact_(?:payment|refund|transfer|assessment|dispute|payout|reserve|webhook_attempt|case)|merchant_version|rollup(?:_(?:latency|account|correction))?)\b"
)

REPLAYED: Final = (
    "fact_payment", "fact_refund", "fact_transfer", "fact_assessment", "rollup", "rollup_latency", "rollup_account",
    "rollup_correction", "fact_dispute", "fact_payout", "fact_reserve", "merchant_version", "fact_webhook_attempt",
    "fact_case",
)  # fmt: skip
"""What a replay builds anew, in the order in which its swap locks it: `pipeline.replayed_tables()` says the same."""

HOLD = text(f"LOCK TABLE {', '.join(f'pipeline.{name}' for name in REPLAYED)} IN ACCESS SHARE MODE")
BEGIN_REPLAY = text("SELECT pipeline.begin_replay()")
SWAP = text("SELECT pipeline.swap_replayed()")
TOTALS = text(
    """
    SELECT 'fact_payment' AS name, count(*)::bigint AS total FROM pipeline.fact_payment
    UNION ALL SELECT 'captured ' || currency, sum(captured_minor)::bigint FROM pipeline.fact_payment GROUP BY currency
    UNION ALL SELECT 'refunded ' || currency, sum(refunded_minor)::bigint FROM pipeline.fact_payment GROUP BY currency
    UNION ALL SELECT 'status ' || status, count(*)::bigint FROM pipeline.fact_payment GROUP BY status
    UNION ALL SELECT 'fact_refund', count(*)::bigint FROM pipeline.fact_refund
    UNION ALL SELECT 'fact_transfer', count(*)::bigint FROM pipeline.fact_transfer
    UNION ALL SELECT 'moved ' || currency, sum(amount_minor)::bigint FROM pipeline.fact_transfer
              WHERE kind IN ('posted', 'post') GROUP BY currency
    UNION ALL SELECT 'fact_assessment', count(*)::bigint FROM pipeline.fact_assessment
    UNION ALL SELECT 'corrections ' || currency || ' ' || measure, total::bigint
              FROM (SELECT currency, sum(payment_count) AS payments, sum(amount_minor) AS amounts,
                           sum(captured_minor) AS captured, sum(refunded_minor) AS refunded
                    FROM pipeline.rollup_correction GROUP BY currency) AS c,
                   LATERAL (VALUES ('payments', payments), ('amounts', amounts), ('captured', captured),
                                   ('refunded', refunded)) AS v (measure, total)
    UNION ALL SELECT 'fact_dispute ' || status, count(*)::bigint FROM pipeline.fact_dispute GROUP BY status
    UNION ALL SELECT 'disputed ' || currency, sum(amount_minor)::bigint FROM pipeline.fact_dispute GROUP BY currency
    UNION ALL SELECT 'fact_payout ' || status, count(*)::bigint FROM pipeline.fact_payout GROUP BY status
    UNION ALL SELECT 'paid out ' || currency, sum(amount_minor)::bigint FROM pipeline.fact_payout GROUP BY currency
    UNION ALL SELECT 'reserved ' || currency, sum(amount_minor)::bigint FROM pipeline.fact_reserve GROUP BY currency
    UNION ALL SELECT 'merchant_version', count(*)::bigint FROM pipeline.merchant_version
    UNION ALL SELECT 'merchants', count(*)::bigint FROM pipeline.merchant_version WHERE valid_to IS NULL
    UNION ALL SELECT 'fact_webhook_attempt ' || outcome, count(*)::bigint
              FROM pipeline.fact_webhook_attempt GROUP BY outcome
    UNION ALL SELECT 'fact_case ' || status, count(*)::bigint FROM pipeline.fact_case GROUP BY status
    UNION ALL SELECT 'payments by ' || grain, sum(payment_count)::bigint FROM pipeline.rollup GROUP BY grain
    UNION ALL SELECT 'approved by ' || grain, sum(approved_count)::bigint FROM pipeline.rollup GROUP BY grain
    UNION ALL SELECT 'declined by ' || grain, sum(declined_count)::bigint FROM pipeline.rollup GROUP BY grain
    UNION ALL SELECT 'amounts by ' || grain || ' ' || currency, sum(amount_minor)::bigint
              FROM pipeline.rollup GROUP BY grain, currency
    UNION ALL SELECT 'captured by ' || grain || ' ' || currency, sum(captured_minor)::bigint
              FROM pipeline.rollup GROUP BY grain, currency
    UNION ALL SELECT 'refunded by ' || grain || ' ' || currency, sum(refunded_minor)::bigint
              FROM pipeline.rollup GROUP BY grain, currency
    UNION ALL SELECT 'latencies', sum(payment_count)::bigint FROM pipeline.rollup_latency
    UNION ALL SELECT 'debits by ' || period || ' ' || currency, sum(debits_minor)::bigint
              FROM pipeline.rollup_account GROUP BY period, currency
    UNION ALL SELECT 'credits by ' || period || ' ' || currency, sum(credits_minor)::bigint
              FROM pipeline.rollup_account GROUP BY period, currency
    UNION ALL SELECT 'held by ' || period || ' ' || currency, sum(debits_held_minor)::bigint
              FROM pipeline.rollup_account GROUP BY period, currency
    """
)
# A replay reads each stored event once: the consumer is held, and what it stored last came from the store itself.
LEFT_OUT = text(
    """
    SELECT (SELECT count(*) FROM pipeline.stored_event)
           - (SELECT done_count FROM pipeline.replay_run WHERE id = :id) AS left_out
    """
)
_FILE = ", ".join(field.name for field in fields(ArchiveFile))
_RUN = """id, state, actor, reason, may_differ, started_at, finished_at, row_count, done_count, refused_count,
    totals, detail"""
ADD_RUN = text(
    """
    INSERT INTO pipeline.replay_run (id, state, actor, reason, may_differ, open_slot, started_at)
    VALUES (:id, 'requested', :actor, :reason, :may_differ, 1, :at) ON CONFLICT DO NOTHING
    """
)
OPEN_RUN = text(f"SELECT {_RUN} FROM pipeline.replay_run WHERE open_slot = 1")  # noqa: S608
RUN = text(f"SELECT {_RUN} FROM pipeline.replay_run WHERE id = :id")  # noqa: S608
LATEST = text(f"SELECT {_RUN} FROM pipeline.replay_run ORDER BY started_at DESC, id DESC LIMIT :limit")  # noqa: S608
START = text("UPDATE pipeline.replay_run SET state = 'building' WHERE id = :id AND state = 'requested'")
ADD_FILES = text(
    """
    INSERT INTO pipeline.replay_file (run_id, path)
    SELECT CAST(:id AS text), path FROM pipeline.archive_file WHERE replaced_at IS NULL ON CONFLICT DO NOTHING
    """
)
COUNT_ROWS = text(
    """
    UPDATE pipeline.replay_run SET row_count = (
        SELECT coalesce(sum(a.row_count), 0) FROM pipeline.replay_file f JOIN pipeline.archive_file a USING (path)
        WHERE f.run_id = :id
    ) WHERE id = :id
    """
)
WAITING = text(
    f"""
    SELECT {_FILE} FROM pipeline.replay_file f JOIN pipeline.archive_file a USING (path)
    WHERE f.run_id = :id AND NOT f.is_done ORDER BY a.stream, a.first_position
    """  # noqa: S608
)
FILE_DONE = text(
    "UPDATE pipeline.replay_file SET is_done = true WHERE run_id = :id AND path = :path AND NOT is_done"
)
ADVANCE = text(
    """
    UPDATE pipeline.replay_run SET done_count = done_count + :done, refused_count = refused_count + :refused
    WHERE id = :id AND state = 'building'
    """
)
FINISH = text(
    """
    UPDATE pipeline.replay_run
    SET state = :state, open_slot = NULL, finished_at = :at, totals = CAST(:totals AS json), detail = :detail
    WHERE id = :id AND open_slot = 1
    """
)


@contextmanager
def copies(conn: AsyncConnection) -> Iterator[None]:
    """Inside, every statement of this connection on facts and roll-ups means their copies.

    They are the consumer's own statements under other table names: a second set could do something else.
    """
    event.listen(conn.sync_connection, "before_cursor_execute", _rename, retval=True)
    try:
        yield
    finally:
        event.remove(conn.sync_connection, "before_cursor_execute", _rename)


def _rename(
    _conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    return _REBUILT.sub(r"rebuilt_\1", statement), parameters


async def begin_copies(conn: AsyncConnection) -> None:
    """Empty copies beside the tables; those of an earlier replay go, and what it replaced.

    The database refuses (DBAPIError) unless the open run is requested.
    """
    await conn.execute(BEGIN_REPLAY)


async def swap(conn: AsyncConnection) -> None:
    """Copies become the tables, the tables become `previous_*`; seen by others when the transaction commits.

    The database refuses (DBAPIError) unless the open run is being built, every copy has its table's shape, and none is
    empty whose table is not.
    """
    await conn.execute(SWAP)


async def hold(conn: AsyncConnection) -> None:
    """No swap until the transaction ends. To be called before its first query: LOCK takes no snapshot, so the moment
    that is read is one after these locks, and never one before a swap whose tables have no rows yet at that moment."""
    await conn.execute(HOLD)


async def left_out(conn: AsyncConnection, run_id: str) -> int:
    """How many stored events the run has not read; 0 is what must be, with the consumer's cursors held."""
    return int(await conn.scalar(LEFT_OUT, {"id": run_id}) or 0)


def refusal(error: DBAPIError) -> str:
    """What Postgres, or one of the two functions, says of the copies: its first line, which holds no row's values."""
    return str(getattr(error.orig, "__cause__", None) or type(error.orig).__name__).partition("\n")[0]


async def totals(conn: AsyncConnection) -> dict[str, int]:
    """Counts and sums of the tables; inside of `copies`, of the copies."""
    return {row.name.removeprefix("rebuilt_"): int(row.total or 0) for row in await conn.execute(TOTALS)}


async def add_run(
    conn: AsyncConnection, run_id: str, actor: str, reason: str, may_differ: bool, at: datetime
) -> bool:
    """False when another replay is open."""
    values = {"id": run_id, "actor": actor, "reason": reason, "may_differ": may_differ, "at": at}
    return bool((await conn.execute(ADD_RUN, values)).rowcount)


async def open_run(conn: AsyncConnection) -> dict[str, Any] | None:
    row = (await conn.execute(OPEN_RUN)).mappings().one_or_none()
    return dict(row) if row else None


async def run(conn: AsyncConnection, run_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(RUN, {"id": run_id})).mappings().one_or_none()
    return dict(row) if row else None


async def latest(conn: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(LATEST, {"limit": limit})).mappings()]


async def start(conn: AsyncConnection, run_id: str) -> None:
    await conn.execute(START, {"id": run_id})


async def add_new_files(conn: AsyncConnection, run_id: str) -> None:
    """Note the archive's files that this replay has not noted yet: a restart goes on with what is not done."""
    await conn.execute(ADD_FILES, {"id": run_id})
    await conn.execute(COUNT_ROWS, {"id": run_id})


async def waiting(conn: AsyncConnection, run_id: str) -> list[ArchiveFile]:
    """Files that are not done."""
    return [ArchiveFile(*row) for row in await conn.execute(WAITING, {"id": run_id})]


async def file_done(conn: AsyncConnection, run_id: str, path: str) -> bool:
    """False when it was done before: then its effects must not be committed. That the run is over, `advance` says."""
    return bool((await conn.execute(FILE_DONE, {"id": run_id, "path": path})).rowcount)


async def advance(conn: AsyncConnection, run_id: str, done: int, refused: int) -> bool:
    """Count what was read; False when the run is over (cancelled)."""
    return bool((await conn.execute(ADVANCE, {"id": run_id, "done": done, "refused": refused})).rowcount)


async def finish(
    conn: AsyncConnection,
    run_id: str,
    state: ReplayState,
    at: datetime,
    detail: str | None = None,
    totals: Any = None,
) -> bool:
    """Close an open run; False when it is closed already."""
    values = {
        "id": run_id,
        "state": state,
        "at": at,
        "totals": None if totals is None else orjson.dumps(totals).decode(),
        "detail": detail,
    }
    return bool((await conn.execute(FINISH, values)).rowcount)
