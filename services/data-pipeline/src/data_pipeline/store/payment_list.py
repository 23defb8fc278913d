"""Payments by filters, newest first, a page by key: no page counts, none reads what it skips, and none looks at more
than LOOKED_AT of them, however few of these fit (ADR 175)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from data_pipeline.domain.payment_filter import PaymentFilter, amount_ranges
from data_pipeline.store.tables import fact_payment as p

LOOKED_AT: Final = 10_000
"""Payments that one page may read, however far apart they lie in the table."""

_SHOWN: Final = (
    p.c.payment_id,
    p.c.merchant_id,
    p.c.status,
    p.c.amount_minor,
    p.c.captured_minor,
    p.c.refunded_minor,
    p.c.currency,
    p.c.method,
    p.c.channel,
    p.c.reference,
    p.c.decline_code,
    p.c.decision,
    p.c.score,
    p.c.created_at,
)
_EQUAL: Final = ("status", "channel", "method", "currency", "merchant_id", "decision")
_BY_TIME: Final = (
    "status",
    "channel",
    "merchant_id",
    "decision",
)  # each has an index that goes on with the time
_BY_AMOUNT: Final = ("currency", "amount")  # fact_payment_amount_idx
_EVER: Final = datetime.min.replace(tzinfo=UTC)

Part = ColumnElement[bool]
Columns = ReadOnlyColumnCollection[str, Any]


@dataclass(frozen=True, slots=True)
class _Reach:
    """The payments that a page looks at: those that fit `part` and were created since `floor`; None: ever."""

    part: Part
    floor: datetime | None = None


async def page(
    conn: AsyncConnection, wanted: PaymentFilter, before: tuple[datetime, str] | None, limit: int
) -> tuple[list[dict[str, Any]], datetime | None]:
    """Up to `limit` payments, older than `before` (created, id). Fewer, and a moment: older ones than of that moment
    have not been looked at."""
    reach = await _reach(conn, wanted, before)
    times = _times(wanted)
    if before is not None:
        times.append(tuple_(p.c.created_at, p.c.payment_id) < tuple_(*before))
    if reach.floor is not None:
        times.append(p.c.created_at >= reach.floor)
    # OFFSET 0 has the planner look for `part` alone, whose share it knows. It takes shares for independent: of four
    # filters that never meet it expects a page soon, and reads every payment for it.
    looked_at = _newest_first(select(*_SHOWN).where(reach.part, *times), p.c).offset(0).subquery()
    found = _newest_first(select(looked_at).where(*_parts(wanted, looked_at.c).values()), looked_at.c).limit(
        limit
    )
    rows = [dict(row) for row in (await conn.execute(found)).mappings()]
    return rows, reach.floor if len(rows) < limit else None


async def of_ids(conn: AsyncConnection, payment_ids: Collection[str]) -> list[dict[str, Any]]:
    """These payments, those that are here, newest first."""
    found = _newest_first(select(*_SHOWN).where(p.c.payment_id.in_(payment_ids)), p.c)
    return [dict(row) for row in (await conn.execute(found)).mappings()] if payment_ids else []


async def _reach(conn: AsyncConnection, wanted: PaymentFilter, before: tuple[datetime, str] | None) -> _Reach:
    """What of the filter narrows most: a part that so few payments fit that all can be looked at, or else the one whose
    LOOKED_AT newest lie furthest back. Each is a probe of an index and no table."""
    parts = _parts(wanted, p.c)
    if not parts:
        return _Reach(true())
    if len(parts) == 1 and (name := next(iter(parts))) in _BY_TIME:
        return _Reach(parts[name])  # every one that is looked at fits
    times = _times(wanted)
    if before is not None:
        times.append(p.c.created_at <= before[0])
    by_time = {"": true()} | {name: part for name, part in parts.items() if name in _BY_TIME}
    probes = [
        select(p.c.created_at)
        .where(part, *times)
        .order_by(p.c.created_at.desc())
        .offset(LOOKED_AT)
        .limit(1)
        .scalar_subquery()
        for part in by_time.values()
    ]
    by_amount = [part for name, part in parts.items() if name in _BY_AMOUNT]
    if by_amount:
        some = select(p.c.currency).where(*by_amount).limit(LOOKED_AT + 1).subquery()
        probes.append(select(func.count()).select_from(some).scalar_subquery())
    told = (await conn.execute(select(*probes))).one()
    if by_amount and told[-1] <= LOOKED_AT:
        return _Reach(and_(*by_amount))
    floor, name = min((told[at] or _EVER, name) for at, name in enumerate(by_time))
    return _Reach(by_time[name], None if floor == _EVER else floor)


def _newest_first(found: Select[Any], columns: Columns) -> Select[Any]:
    return found.order_by(columns["created_at"].desc(), columns["payment_id"].desc())


def _times(wanted: PaymentFilter) -> list[Part]:
    bounds = []
    if wanted.since is not None:
        bounds.append(p.c.created_at >= wanted.since)
    if wanted.until is not None:
        bounds.append(p.c.created_at < wanted.until)
    return bounds


def _parts(wanted: PaymentFilter, columns: Columns) -> dict[str, Part]:
    """Each part of the filter that is set but the times, as a condition on these columns."""
    parts: dict[str, Part] = {
        name: columns[name] == value for name in _EQUAL if (value := getattr(wanted, name)) is not None
    }
    if wanted.amount_min is not None or wanted.amount_max is not None:
        ranges = [
            and_(
                columns["currency"].in_(r.currencies),
                columns["amount_minor"].between(r.low_minor, r.high_minor),
            )
            for r in amount_ranges(wanted)
        ]
        parts["amount"] = or_(false(), *ranges)
    return parts
