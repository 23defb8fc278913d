"""How good the facts are: scores over time, rules that are broken now, and days that are not published for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from data_pipeline.domain.quality import RULES
from data_pipeline.domain.snapshot import CLOCKS, Manifest
from data_pipeline.operations.deps import Deps
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.logging import get_logger

DAYS: Final = 30
"""Of history: as long as looks are kept."""
MANIFEST_WAIT_S: Final = 1.0  # a store that is away must not take the page away that is about it

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TableQuality:
    """One fact table. `score` is of the last look at each of its days together, None before the first look."""

    name: str
    score: float | None
    row_count: int
    looked_at: datetime | None
    blocked_days: tuple[date, ...]
    waiting_days: tuple[date, ...]
    """Changed, and not published since: the last run did not reach them, or they are too large for one."""
    failures: tuple[Mapping[str, Any], ...]
    """Broken now: day, rule, severity, meaning, column, failed_count, sample; blocked days first."""
    history: Mapping[date, Mapping[str, Any]]
    """Day of looking -> the worst score found on it, and whether something was blocked."""


@dataclass(frozen=True, slots=True)
class Quality:
    """All of it. `is_configured` is false when facts are published nowhere: then nothing is looked at."""

    is_configured: bool
    tables: tuple[TableQuality, ...]
    is_readable: bool = True
    """False when the snapshot did not tell which days wait."""

    @property
    def blocked_count(self) -> int:
        return sum(len(one.blocked_days) for one in self.tables)

    @property
    def waiting_count(self) -> int | None:
        """None when it is not known."""
        return sum(len(one.waiting_days) for one in self.tables) if self.is_readable else None

    @property
    def failure_count(self) -> int:
        return sum(len(one.failures) for one in self.tables)


async def report_quality(deps: Deps) -> Quality:
    """The last look at every day of every table, which days wait, and what looks found over the last 30 days."""
    first = deps.clock.now().date() - timedelta(days=DAYS - 1)
    after = datetime.combine(first, time(), deps.clock.now().tzinfo)
    async with deps.engine.connect() as conn:
        latest = await snapshot_store.latest_looks(conn)
        worst = await snapshot_store.worst_by_day(conn, after)
    manifest, is_readable = await _manifest(deps)
    waiting = manifest.waiting if manifest else ()
    tables = tuple(
        _table(
            name,
            [row for row in latest if row["name"] == name],
            [row for row in worst if row["name"] == name],
            tuple(sorted((one.day for one in waiting if one.table == name), reverse=True)),
        )
        for name in CLOCKS
    )
    return Quality(deps.snapshots.is_configured, tables, is_readable)


async def report_looks(deps: Deps, name: str, limit: int) -> list[dict[str, Any]]:
    """Looks at one table, newest first."""
    async with deps.engine.connect() as conn:
        return await snapshot_store.looks(conn, name, limit)


def rules() -> list[dict[str, str]]:
    """Every rule with its severity and meaning."""
    return [
        {"rule": name, "severity": rule.severity, "meaning": rule.meaning} for name, rule in RULES.items()
    ]


async def _manifest(deps: Deps) -> tuple[Manifest | None, bool]:
    """The snapshot that stands, and whether it could be read."""
    if not deps.snapshots.is_configured:
        return None, True
    try:
        return await asyncio.wait_for(deps.snapshots.manifest(), MANIFEST_WAIT_S), True
    except Exception as error:  # each back end of fsspec has its own
        log.warning("snapshot not read", error=repr(error))
        return None, False


def _table(
    name: str, latest: list[dict[str, Any]], worst: list[dict[str, Any]], waiting_days: tuple[date, ...]
) -> TableQuality:
    row_count, failed = (sum(row[key] for row in latest) for key in ("row_count", "failed_count"))
    failures = [
        {"day": row["day"], "is_blocked": row["is_blocked"], **failure}
        for row in sorted(latest, key=lambda row: not row["is_blocked"])
        for failure in row["failures"]
    ]
    return TableQuality(
        name,
        None if not latest else 1 - failed / row_count if row_count else 1.0,
        row_count,
        max((row["checked_at"] for row in latest), default=None),
        tuple(row["day"] for row in latest if row["is_blocked"]),
        waiting_days,
        tuple(failures),
        {row["looked_on"]: {"score": row["score"], "is_blocked": row["is_blocked"]} for row in worst},
    )
