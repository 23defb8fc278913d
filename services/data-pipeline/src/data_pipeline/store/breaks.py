"""Breaks. One keeps its id and age over re-runs, and closes when it is not found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.reconciliation import Break
from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.runs import RunRow
from data_pipeline.store.settlement_files import KeptFile
from data_pipeline.store.tables import reconciliation_break

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


def break_row(run: RunRow, file: KeptFile, broken: Break) -> BreakRow:
    """A break with the evidence of the sides that it has."""
    ours, theirs = broken.ledger, broken.file.line if broken.file else None
    settled_type = ours.type if ours else theirs.type if theirs else ""
    return BreakRow(
        id=broken.id,
        day=run.day,
        channel=run.channel,
        break_class=broken.break_class,
        settled_type=settled_type,
        rule=broken.rule,
        journal_id=ours.journal_id if ours else None,
        payment_id=ours.payment_id if ours else None,
        channel_reference=theirs.channel_reference if theirs else ours.channel_reference if ours else None,
        channel_key=theirs.channel_key if theirs else ours.channel_key if ours else None,
        ledger_amount_minor=ours.amount_minor if ours else None,
        ledger_currency=ours.currency if ours else None,
        ledger_at=ours.occurred_at if ours else None,
        file_amount_minor=theirs.amount_minor if theirs else None,
        file_currency=theirs.currency if theirs else None,
        file_line=broken.file.number if broken.file else None,
        file_sha256=file.sha256 if theirs else None,
        run_id=run.id,
        opened_at=run.finished_at,
        last_seen_at=run.finished_at,
    )


async def replace_breaks(conn: AsyncConnection, run: RunRow, breaks: Sequence[BreakRow]) -> None:
    """Open what this run found, close what it did not find again."""
    await conn.execute(OPEN_BREAKS, arrays(breaks, _COLUMNS))
    await conn.execute(
        CLOSE_OTHERS, {"day": run.day, "channel": run.channel, "run_id": run.id, "at": run.finished_at}
    )


async def open_breaks(conn: AsyncConnection, first: date, last: date, limit: int) -> list[dict[str, Any]]:
    result = await conn.execute(BREAKS, {"first": first, "last": last, "limit": limit})
    return [dict(row) for row in result.mappings()]


async def count_open(conn: AsyncConnection) -> int:
    return int(await conn.scalar(COUNT_OPEN) or 0)
