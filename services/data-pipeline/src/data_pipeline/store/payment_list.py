"""Payments by filters, newest first, a page by key: no page counts, and none reads what it skips."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, false, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.payment_filter import PaymentFilter, amount_ranges
from data_pipeline.store.tables import fact_payment as p

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


async def page(
    conn: AsyncConnection, wanted: PaymentFilter, before: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` payments, older than `before` (created, id)."""
    found = select(*_SHOWN).order_by(p.c.created_at.desc(), p.c.payment_id.desc()).limit(limit)
    for name in _EQUAL:
        value = getattr(wanted, name)
        if value is not None:
            found = found.where(p.c[name] == value)
    if wanted.since is not None:
        found = found.where(p.c.created_at >= wanted.since)
    if wanted.until is not None:
        found = found.where(p.c.created_at < wanted.until)
    ranges = list(amount_ranges(wanted))
    if wanted.amount_min is not None or wanted.amount_max is not None:
        within = [
            and_(p.c.currency.in_(r.currencies), p.c.amount_minor.between(r.low_minor, r.high_minor))
            for r in ranges
        ]
        found = found.where(or_(false(), *within))
    if before is not None:
        found = found.where(tuple_(p.c.created_at, p.c.payment_id) < tuple_(*before))
    return [dict(row) for row in (await conn.execute(found)).mappings()]
