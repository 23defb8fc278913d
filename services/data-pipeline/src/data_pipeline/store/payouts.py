"""Payouts of channels and the bank's statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import channel_payout

_COLUMNS = tuple(column.name for column in channel_payout.columns)

# The same statement again is no new one, but may be read otherwise now (by another account's setting, say).
KEEP_STATEMENT = text(
    """
    INSERT INTO pipeline.bank_statement (currency, booked_on, sha256, raw, entry_count, fault, fault_detail, fetched_at)
    VALUES (:currency, :booked_on, :sha256, :raw, :entry_count, :fault, :fault_detail, :fetched_at)
    ON CONFLICT (currency, booked_on, sha256) DO UPDATE
    SET fetched_at = excluded.fetched_at, entry_count = excluded.entry_count, fault = excluded.fault,
        fault_detail = excluded.fault_detail
    """
)
NEWEST_TAKEN = text(
    """
    SELECT raw FROM pipeline.bank_statement
    WHERE currency = :currency AND booked_on = :booked_on AND fault IS NULL    -- bank_statement_pkey
    ORDER BY fetched_at DESC LIMIT 1
    """
)
# Only the newest of a day counts, and only one that has the name in it is read.
STATEMENTS_NAMING = text(
    """
    SELECT booked_on, sha256, raw FROM (
        SELECT DISTINCT ON (booked_on) booked_on, sha256, raw FROM pipeline.bank_statement
        WHERE currency = :currency AND booked_on BETWEEN :first AND :last AND fault IS NULL   -- bank_statement_pkey
        ORDER BY booked_on, fetched_at DESC
    ) AS newest WHERE position(convert_to(CAST(:batch AS text), 'UTF8') IN raw) > 0 ORDER BY booked_on
    """
)
STATEMENT = text("SELECT raw FROM pipeline.bank_statement WHERE sha256 = :sha256 LIMIT 1")
DAYS_OF = text(
    """
    SELECT batch, settled_on FROM pipeline.channel_payout
    WHERE batch = ANY(CAST(:batches AS text[]))                               -- channel_payout_pkey
      AND settled_on >= :first AND settled_on < :before
    """
)
SAVE_PAYOUTS = insert_many(
    channel_payout,
    _COLUMNS,
    "ON CONFLICT (batch) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "batch"),
)
PAYOUTS = text(
    """
    SELECT * FROM pipeline.channel_payout WHERE settled_on BETWEEN :first AND :last
    ORDER BY settled_on DESC, channel, currency                    -- channel_payout_settled_on_channel_idx
    """
)

CURRENCIES_OF = text(
    "SELECT DISTINCT currency FROM pipeline.channel_payout WHERE settled_on BETWEEN :first AND :last"
)
# What is missing was looked for on its own statement: only a newer one that has its name can say more.
AWAITED_DAYS = text(
    """
    SELECT DISTINCT p.settled_on FROM pipeline.channel_payout p
    WHERE p.settled_on BETWEEN :first AND :last
      AND (p.state = 'expected' OR p.state = 'missing' AND (p.checked_at <= :checked_before OR EXISTS (
          SELECT FROM pipeline.bank_statement s
          WHERE s.currency = p.currency AND s.booked_on > p.settled_on AND s.fault IS NULL   -- bank_statement_pkey
            AND s.fetched_at > p.checked_at AND position(convert_to(p.batch, 'UTF8') IN s.raw) > 0)))
    ORDER BY p.settled_on DESC
    """
)


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A statement as it came, and what reading it said."""

    currency: str
    booked_on: date
    sha256: str
    raw: bytes
    entry_count: int | None
    fault: str | None
    fault_detail: str | None
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A batch and what arrived of it, in minor units of `currency`."""

    batch: str
    channel: str
    settled_on: date
    currency: str
    charge_minor: int
    refund_minor: int
    fee_minor: int
    net_minor: int
    state: str
    received_minor: int | None
    entry_count: int
    statement_sha256: str | None
    checked_at: datetime
    arrived_on: date | None = None
    """The last day on which a line of it was booked, when that was after the day's own statement."""


async def keep_statement(conn: AsyncConnection, statement: StatementRow) -> None:
    await conn.execute(KEEP_STATEMENT, asdict(statement))


async def newest_taken(conn: AsyncConnection, currency: str, booked_on: date) -> bytes | None:
    """The last statement of that day that was not refused, if one came."""
    found: bytes | None = await conn.scalar(NEWEST_TAKEN, {"currency": currency, "booked_on": booked_on})
    return found


async def currencies_of(conn: AsyncConnection, first: date, last: date) -> set[str]:
    """In which currencies channels paid out for these days."""
    return set(await conn.scalars(CURRENCIES_OF, {"first": first, "last": last}))


async def awaited_days(
    conn: AsyncConnection, first: date, last: date, checked_before: datetime
) -> list[date]:
    """Which of these days to judge again, newest first: a payout's own statement has not come, or a newer statement
    names one that is missing, or nobody has looked since `checked_before`."""
    values = {"first": first, "last": last, "checked_before": checked_before}
    return list(await conn.scalars(AWAITED_DAYS, values))


async def statements_naming(
    conn: AsyncConnection, currency: str, batch: str, first: date, last: date
) -> list[dict[str, Any]]:
    """Taken statements booked on these days, the newest of each day, that have the batch's name somewhere."""
    values = {"currency": currency, "batch": batch, "first": first, "last": last}
    return [dict(row) for row in (await conn.execute(STATEMENTS_NAMING, values)).mappings()]


async def statement(conn: AsyncConnection, sha256: str) -> bytes | None:
    """A statement as it came."""
    found: bytes | None = await conn.scalar(STATEMENT, {"sha256": sha256})
    return found


async def days_of(
    conn: AsyncConnection, batches: Sequence[str], first: date, before: date
) -> dict[str, date]:
    """Which of these are batches that we know, of days in [first, before); with their days."""
    result = await conn.execute(DAYS_OF, {"batches": list(batches), "first": first, "before": before})
    return {row.batch: row.settled_on for row in result}


async def save(conn: AsyncConnection, payouts: Sequence[PayoutRow]) -> None:
    await conn.execute(SAVE_PAYOUTS, arrays(payouts, _COLUMNS))


async def list_payouts(conn: AsyncConnection, first: date, last: date) -> list[dict[str, Any]]:
    """Payouts settled on these days, newest day first."""
    return [dict(row) for row in (await conn.execute(PAYOUTS, {"first": first, "last": last})).mappings()]
