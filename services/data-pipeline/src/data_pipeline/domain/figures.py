"""The key figures of a day, from roll-up rows. A rate of nothing is None, never 0 %."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.rollups import Grain, bucket_start

BLOCKED: Final = "block"
Rows = Iterable[Mapping[str, Any]]


def approval_rate(by_decision: Rows) -> float | None:
    """Approved of those that a channel decided; what risk stopped never reached one and is counted apart."""
    asked = [row for row in by_decision if row["decision"] != BLOCKED]
    approved = total(asked, "approved_count")
    decided = approved + total(asked, "declined_count")
    return approved / decided if decided else None


def blocked_share(by_decision: Rows) -> float | None:
    """Payments that risk stopped, of all."""
    rows = list(by_decision)
    count = total(rows, "payment_count")
    return total((r for r in rows if r["decision"] == BLOCKED), "payment_count") / count if count else None


def total(rows: Rows, name: str) -> int:
    """The sum of one measure."""
    return sum(int(row[name]) for row in rows)


def every_minute(rows: Rows, now: datetime, count: int) -> list[dict[str, Any]]:
    """The last `count` minutes, oldest first, the current one last; a minute without payments has zeros."""
    found = {row["bucket_at"]: row for row in rows}
    last = bucket_start(now, Grain.MINUTE)
    names = ("payment_count", "approved_count", "declined_count")
    return [
        {"bucket_at": at, **{name: int(found[at][name]) if at in found else 0 for name in names}}
        for at in (last - timedelta(minutes=ago) for ago in range(count - 1, -1, -1))
    ]
