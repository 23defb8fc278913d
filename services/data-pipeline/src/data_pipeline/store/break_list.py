"""Breaks by filters, the oldest first, a page by key; and what is open of each day, added up."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.ageing import days_of
from data_pipeline.domain.break_filter import NOBODY, BreakFilter, Which
from data_pipeline.store.tables import reconciliation_break as b

_NAMES: Final = tuple(str(column.name) for column in b.columns)  # plain strings: JSON takes no others as keys
_EQUAL: Final = ("day", "channel", "break_class", "state")

# A difference is a sum, so rows of one kind and one sign may be added up before it is taken.
OPEN_SUMS: Final = text(
    """
    SELECT day, channel, break_class, settled_type, ledger_currency, file_currency, count(*) AS break_count,
           sum(ledger_amount_minor)::bigint AS ledger_amount_minor, sum(file_amount_minor)::bigint AS file_amount_minor,
           sum(expected_fee_minor)::bigint AS expected_fee_minor, sum(file_fee_minor)::bigint AS file_fee_minor,
           sum(bank_amount_minor)::bigint AS bank_amount_minor
    FROM pipeline.reconciliation_break
    WHERE day BETWEEN :first AND :last AND closed_at IS NULL       -- reconciliation_break_day_channel_idx
    GROUP BY day, channel, break_class, settled_type, ledger_currency, file_currency,
             coalesce(file_amount_minor, 0) > coalesce(ledger_amount_minor, 0),
             coalesce(file_fee_minor, 0) > coalesce(expected_fee_minor, 0),
             coalesce(bank_amount_minor, 0) > coalesce(file_amount_minor, 0)
    """
)


async def page(
    conn: AsyncConnection,
    wanted: BreakFilter,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Up to `limit` breaks that were opened after `after` (opened, id). The oldest first: the order of work."""
    found = select(b).order_by(b.c.opened_at, b.c.id).limit(limit)
    if wanted.which is Which.OPEN:
        found = found.where(b.c.closed_at.is_(None))  # reconciliation_break_open_idx
    elif wanted.which is Which.CLOSED:
        found = found.where(b.c.closed_at.is_not(None))
    for name in _EQUAL:
        if (value := getattr(wanted, name)) is not None:
            found = found.where(b.c[name] == value)
    if wanted.owner is not None:
        found = found.where(b.c.owner.is_(None) if wanted.owner == NOBODY else b.c.owner == wanted.owner)
    if wanted.currency is not None:
        found = found.where(or_(b.c.ledger_currency == wanted.currency, b.c.file_currency == wanted.currency))
    if wanted.age_band is not None:
        first, last = days_of(wanted.age_band)
        until = func.coalesce(b.c.closed_at, now)
        found = found.where(until - b.c.opened_at >= timedelta(days=first))
        if last is not None:
            found = found.where(until - b.c.opened_at < timedelta(days=last + 1))
    if after is not None:
        found = found.where(tuple_(b.c.opened_at, b.c.id) > tuple_(*after))
    return [dict(zip(_NAMES, row, strict=True)) for row in await conn.execute(found)]


async def open_sums(conn: AsyncConnection, first: date, last: date) -> list[dict[str, Any]]:
    """Open breaks of these days by day, channel, kind and sign, each with the sums of its sides."""
    return [dict(row) for row in (await conn.execute(OPEN_SUMS, {"first": first, "last": last})).mappings()]
