"""Gold: the roll-up of the ledger's accounts, moved with the transfers, and what the books are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.balances import ALWAYS, AccountBucket, Turnover, month_start
from data_pipeline.domain.rollups import Grain, bucket_start
from data_pipeline.store.arrays import arrays, unnested
from data_pipeline.store.tables import rollup_account

_KEY = tuple(field.name for field in fields(AccountBucket))
_MEASURES = tuple(field.name for field in fields(Turnover))
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _MEASURES)
_MOVED: Final = "CASE WHEN kind IN ('posted', 'post') THEN amount_minor ELSE 0 END"
_HELD: Final = (
    "CASE WHEN kind = 'pending' THEN amount_minor"
    " WHEN kind IN ('post', 'release', 'void') THEN -amount_minor ELSE 0 END"
)
# `merchant:mer_1:available` -> `merchant:available`, and one class for all that merchants name themselves: thousands of
# accounts are one row a class.
_CLASS: Final = (
    "CASE WHEN split_part(account, ':', 1) = 'ledger' THEN 'ledger'"
    " ELSE split_part(account, ':', 1) || ':' || split_part(account, ':', -1) END"
)

# The consumer's cursor row admits one writer at a time.
ADD = text(
    f"""
    MERGE INTO pipeline.rollup_account AS kept USING {unnested(rollup_account, _KEY + _MEASURES)}
    ON {" AND ".join(f"kept.{name} = r.{name}" for name in _KEY)}
    WHEN MATCHED THEN UPDATE SET {", ".join(f"{name} = kept.{name} + r.{name}" for name in _MEASURES)}
    WHEN NOT MATCHED THEN INSERT ({", ".join(_KEY + _MEASURES)})
        VALUES ({", ".join(f"r.{name}" for name in _KEY + _MEASURES)})
    """  # noqa: S608 - column names of our own
)


def _side(side: str, condition: str) -> str:
    """The entries of one side in the shape of the roll-up."""
    debits, credits = (_MOVED, "0") if side == "debit" else ("0", _MOVED)
    debits_held, credits_held = (_HELD, "0") if side == "debit" else ("0", _HELD)
    return f"""
        SELECT {side} AS account, currency, {debits} AS debits_minor, {credits} AS credits_minor,
               {debits_held} AS debits_held_minor, {credits_held} AS credits_held_minor, 1 AS entry_count, occurred_at
        FROM pipeline.fact_transfer WHERE {condition}"""  # noqa: S608 - names of our own


def _entries(condition: str) -> str:
    return f"{_side('debit', condition)} UNION ALL {_side('credit', condition)}"


IS_COMPLETE = text(
    """
    SELECT ARRAY[coalesce(sum(entry_count) FILTER (WHERE period = 'all'), 0),
                 coalesce(sum(entry_count) FILTER (WHERE period = 'month'), 0)]
           = array_fill((SELECT count(*) * 2 FROM pipeline.fact_transfer)::numeric, ARRAY[2])
    FROM pipeline.rollup_account WHERE period IN ('all', 'month')                -- rollup_account_period_idx
    """
)
FORGET = text("DELETE FROM pipeline.rollup_account")
REBUILD = text(
    f"""
    INSERT INTO pipeline.rollup_account ({", ".join(_KEY + _MEASURES)})
    SELECT account, currency, period, CASE period WHEN 'all' THEN to_timestamp(0)
           ELSE date_trunc(period, occurred_at, 'UTC') END, {_SUMS}
    FROM ({_entries("true")}) AS entry, (VALUES ('all'), ('month'), ('day'), ('hour')) AS p (period) GROUP BY 1, 2, 3, 4
    """  # noqa: S608 - column names of our own
)
_PER_ACCOUNT: Final = f"SELECT account, currency, {_SUMS} FROM"
_ALL: Final = "(SELECT * FROM pipeline.rollup_account WHERE period = 'all')"  # rollup_account_period_idx
# Whole months, the whole days of that month, the whole hours of that day, and the entries of that hour: of an account
# never more than a row a month, 30 days, 23 hours and an hour of entries.
_UNTIL: Final = f"""(
    SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account
    WHERE period = 'month' AND bucket_at < :month
    UNION ALL SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account
    WHERE period = 'day' AND bucket_at >= :month AND bucket_at < :day
    UNION ALL SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account
    WHERE period = 'hour' AND bucket_at >= :day AND bucket_at < :hour
    UNION ALL SELECT account, currency, {", ".join(_MEASURES)}
    FROM ({_entries("occurred_at >= :hour AND occurred_at < :at")}) AS entry            -- fact_transfer_time_idx
)"""  # noqa: S608


def _trial(rows: str) -> str:
    return f"""
        SELECT {_CLASS} AS account_class, currency, count(*) AS account_count,
               sum(greatest(debits_minor - credits_minor, 0))::bigint AS debit_minor,
               sum(greatest(credits_minor - debits_minor, 0))::bigint AS credit_minor,
               sum(debits_held_minor)::bigint AS held_minor
        FROM ({_PER_ACCOUNT} {rows} AS row GROUP BY account, currency) AS balance GROUP BY 1, 2 ORDER BY 2, 1
        """  # noqa: S608


TRIAL_NOW = text(_trial(_ALL))
TRIAL_AT = text(_trial(_UNTIL))
ACCOUNTS = text(
    f"""
    SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account
    WHERE period = 'all' AND bucket_at = to_timestamp(0) AND (account, currency) > (:after_account, :after_currency)
      AND (CAST(:currency AS text) IS NULL OR currency = :currency)
      AND (CAST(:wanted AS text) IS NULL OR strpos(account, :wanted) > 0)
      AND (CAST(:account_class AS text) IS NULL OR {_CLASS} = :account_class)
    ORDER BY account, currency LIMIT :limit                                      -- rollup_account_period_idx
    """  # noqa: S608
)
HELD_AT_CHANNELS = text(
    """
    SELECT currency, sum(debits_held_minor)::bigint AS held_minor FROM pipeline.rollup_account
    WHERE period = 'all' AND bucket_at = to_timestamp(0) AND account >= 'channel:' AND account < 'channel;'
    GROUP BY currency HAVING sum(debits_held_minor) <> 0 ORDER BY sum(entry_count) DESC, currency
    """  # rollup_account_period_idx
)
NOW = text(
    f"""
    SELECT {", ".join(_MEASURES)} FROM pipeline.rollup_account
    WHERE account = :account AND currency = :currency AND period = 'all'
    """  # noqa: S608
)
# The entries of the hour before (at, position, line), in the order of an account's page.
_BEFORE: Final = "(occurred_at, position, line) < (:at, :position, :line)"
AT = text(
    f"""
    SELECT {", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _MEASURES)} FROM (
        SELECT {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE account = :account AND currency = :currency AND period = 'month' AND bucket_at < :month
        UNION ALL SELECT {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE account = :account AND currency = :currency AND period = 'day' AND bucket_at >= :month
          AND bucket_at < :day
        UNION ALL SELECT {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE account = :account AND currency = :currency AND period = 'hour' AND bucket_at >= :day
          AND bucket_at < :hour
        UNION ALL SELECT {", ".join(_MEASURES)} FROM (
            {_side("debit", f"debit = :account AND currency = :currency AND occurred_at >= :hour AND {_BEFORE}")}
            UNION ALL
            {_side("credit", f"credit = :account AND currency = :currency AND occurred_at >= :hour AND {_BEFORE}")}
        ) AS entry                                           -- fact_transfer_debit_idx, fact_transfer_credit_idx
    ) AS part
    """  # noqa: S608
)
_ENTRY: Final = """journal_id, line, position, occurred_at, aggregate_id, merchant_id, debit, credit, amount_minor,
    currency, kind"""
ENTRIES = text(
    f"""
    SELECT {_ENTRY} FROM (
        (SELECT {_ENTRY} FROM pipeline.fact_transfer WHERE debit = :account AND currency = :currency AND {_BEFORE}
         ORDER BY occurred_at DESC, position DESC, line DESC LIMIT :limit)       -- fact_transfer_debit_idx
        UNION ALL
        (SELECT {_ENTRY} FROM pipeline.fact_transfer WHERE credit = :account AND currency = :currency AND {_BEFORE}
         ORDER BY occurred_at DESC, position DESC, line DESC LIMIT :limit)       -- fact_transfer_credit_idx
    ) AS entry ORDER BY occurred_at DESC, position DESC, line DESC LIMIT :limit
    """  # noqa: S608
)
JOURNAL = text(
    f"SELECT {_ENTRY}, event_id, channel_reference FROM pipeline.fact_transfer WHERE journal_id = :id ORDER BY line"  # noqa: S608
)
# What the roll-up was when the events up to a position were in it: less what came after.
AS_OF_POSITION = text(
    f"""
    {_PER_ACCOUNT} (
        SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account WHERE period = 'all'
        UNION ALL SELECT account, currency, {", ".join(f"-{name}" for name in _MEASURES)}
        FROM ({_entries("position > :position")}) AS entry                           -- fact_transfer_position_idx
    ) AS row
    WHERE (account, currency) > (:after_account, :after_currency)
      AND (CAST(:until_account AS text) IS NULL OR (account, currency) <= (:until_account, :until_currency))
    GROUP BY account, currency HAVING sum(entry_count) > 0
    """  # noqa: S608
)
# Rows of an hour that are not the sum of its transfers; days that are not that of their hours, months that are not that
# of their days; the whole that is not that of the months.
DIFFERENCES = text(
    f"""
    WITH detail AS (
        {_PER_ACCOUNT} ({_entries("occurred_at >= :hour")}) AS entry GROUP BY account, currency
    ), hours AS (
        {_PER_ACCOUNT} (SELECT * FROM pipeline.rollup_account WHERE period = 'hour' AND bucket_at >= :hour) AS row
        GROUP BY account, currency
    ), of_days AS (
        SELECT account, currency, date_trunc('day', bucket_at, 'UTC') AS day, {_SUMS} FROM pipeline.rollup_account
        WHERE period = 'hour' AND bucket_at >= :day GROUP BY 1, 2, 3
    ), days AS (
        SELECT account, currency, bucket_at, {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE period = 'day' AND bucket_at >= :day
    ), of_months AS (
        SELECT account, currency, date_trunc('month', bucket_at, 'UTC') AS month, {_SUMS} FROM pipeline.rollup_account
        WHERE period = 'day' AND bucket_at >= :month GROUP BY 1, 2, 3
    ), months AS (
        SELECT account, currency, bucket_at, {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE period = 'month' AND bucket_at >= :month
    ), whole AS (
        {_PER_ACCOUNT} (SELECT * FROM pipeline.rollup_account WHERE period = 'month' AND :is_whole_due) AS row
        GROUP BY account, currency
    ), kept AS (
        SELECT account, currency, {", ".join(_MEASURES)} FROM pipeline.rollup_account
        WHERE period = 'all' AND :is_whole_due
    ), differing AS (
        ((SELECT * FROM detail EXCEPT SELECT * FROM hours) UNION (SELECT * FROM hours EXCEPT SELECT * FROM detail)
         UNION (SELECT * FROM whole EXCEPT SELECT * FROM kept) UNION (SELECT * FROM kept EXCEPT SELECT * FROM whole))
    )
    SELECT account, currency FROM (
        SELECT account, currency FROM differing
        UNION SELECT account, currency FROM (
            (SELECT * FROM of_days EXCEPT SELECT * FROM days) UNION (SELECT * FROM days EXCEPT SELECT * FROM of_days)
        ) AS of_a_day
        UNION SELECT account, currency FROM (
            (SELECT * FROM of_months EXCEPT SELECT * FROM months)
            UNION (SELECT * FROM months EXCEPT SELECT * FROM of_months)
        ) AS of_a_month
    ) AS named ORDER BY account, currency LIMIT 10
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Key:
    """A place in an account's entries: those before it are older. Position and line 0: before that moment."""

    at: datetime
    position: int = 0
    line: int = 0


async def add(conn: AsyncConnection, turnover: Mapping[AccountBucket, Turnover]) -> None:
    """Add to the buckets."""
    if turnover:
        await conn.execute(ADD, arrays(turnover, _KEY) | arrays(turnover.values(), _MEASURES))


async def complete(conn: AsyncConnection) -> bool:
    """Make the roll-up anew from the transfers when it has not as many entries as they; True when done.

    A release that knew no accounts may have stored transfers since. Only for who holds the cursor.
    """
    await conn.execute(text("SET LOCAL statement_timeout = 0"))  # it counts all transfers
    if await conn.scalar(IS_COMPLETE):
        return False
    await conn.execute(FORGET)
    await conn.execute(REBUILD)
    return True


async def trial(conn: AsyncConnection, at: datetime | None) -> list[dict[str, Any]]:
    """Balances by class of account and currency: now, or of what had happened before `at`."""
    result = await conn.execute(TRIAL_AT, _bounds(at)) if at else await conn.execute(TRIAL_NOW)
    return [dict(row) for row in result.mappings()]


async def accounts(
    conn: AsyncConnection,
    *,
    wanted: str | None,
    account_class: str | None,
    currency: str | None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Accounts by name and currency, those after `after`; `wanted` is a part of the name."""
    account, code = after or ("", "")
    values: dict[str, Any] = {"wanted": wanted, "account_class": account_class, "currency": currency}
    values |= {"after_account": account, "after_currency": code, "limit": limit}
    return [dict(row) for row in (await conn.execute(ACCOUNTS, values)).mappings()]


async def held_at_channels(conn: AsyncConnection) -> list[dict[str, Any]]:
    """What channels have authorised and we have not captured, by currency, the busiest first."""
    return [dict(row) for row in (await conn.execute(HELD_AT_CHANNELS)).mappings()]


async def balance(
    conn: AsyncConnection, account: str, currency: str, before: Key | None = None
) -> dict[str, Any] | None:
    """What the account had in all, or by its entries before that place; None when it never had an entry."""
    values: dict[str, Any] = {"account": account, "currency": currency}
    row = (await conn.execute(NOW, values)).mappings().one_or_none()
    if row is None or before is None:
        return dict(row) if row else None
    values |= asdict(before) | _bounds(before.at)
    return dict((await conn.execute(AT, values)).mappings().one())


async def entries(
    conn: AsyncConnection, account: str, currency: str, before: Key, limit: int
) -> list[dict[str, Any]]:
    """An account's entries before that place, newest first."""
    values = {"account": account, "currency": currency, "limit": limit} | asdict(before)
    return [dict(row) for row in (await conn.execute(ENTRIES, values)).mappings()]


async def journal(conn: AsyncConnection, journal_id: str) -> list[dict[str, Any]]:
    """Its lines in their order."""
    return [dict(row) for row in (await conn.execute(JOURNAL, {"id": journal_id})).mappings()]


async def as_of_position(
    conn: AsyncConnection, position: int, after: tuple[str, str], until: tuple[str, str] | None
) -> dict[tuple[str, str], Turnover]:
    """By account and currency in (after, until], of all events up to that position; `until` None: to the end."""
    account, currency = until or (None, None)
    values: dict[str, Any] = {"position": position, "after_account": after[0], "after_currency": after[1]}
    values |= {"until_account": account, "until_currency": currency}
    result = await conn.execute(AS_OF_POSITION, values)
    return {
        (row.account, row.currency): Turnover(*(getattr(row, name) for name in _MEASURES)) for row in result
    }


async def differences(
    conn: AsyncConnection, hour: datetime, day: datetime, *, is_whole_due: bool
) -> list[dict[str, Any]]:
    """Up to ten accounts whose hours since `hour` are not the sum of their transfers, whose days since `day` not that
    of their hours, whose month of that day not that of its days, or, when that is due, whose whole is not that of the
    months, and these not that of their days: it reads every day of every account."""
    month = ALWAYS if is_whole_due else month_start(day)
    values = {"hour": hour, "day": day, "month": month, "is_whole_due": is_whole_due}
    return [dict(row) for row in (await conn.execute(DIFFERENCES, values)).mappings()]


def _bounds(at: datetime) -> dict[str, datetime]:
    day = bucket_start(at, Grain.DAY)
    return {"at": at, "hour": bucket_start(at, Grain.HOUR), "day": day, "month": month_start(day)}
