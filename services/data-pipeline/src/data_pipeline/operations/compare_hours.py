"""The last hour against the same hour of last week, from roll-ups: figures, channels, and money that is in flight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data_pipeline.domain.hours import (
    SLOT,
    WEEK,
    Channel,
    Compared,
    approval,
    blocked,
    by_channel,
    compare,
    last_hour,
    p95_ms,
    volume,
)
from data_pipeline.domain.invariants import Invariant
from data_pipeline.domain.rollups import NOT_KNOWN
from data_pipeline.operations.deps import Deps
from data_pipeline.store import balances
from data_pipeline.store import facts as fact_store
from data_pipeline.store import invariants as invariant_store
from data_pipeline.store import rollups as rollup_store
from data_pipeline.store import versions as version_store


@dataclass(frozen=True, slots=True)
class Hours:
    """`since` begins the last hour. `in_flight` is authorised and not captured, by currency, the most accounts first;
    `broken` names invariants whose last look found them broken, `not_judged` those of which it could not tell, or that
    nobody has looked at. `deploys` are changes of services' versions within the hour."""

    since: datetime
    until: datetime
    volume: Compared
    approval: Compared
    blocked: Compared
    p95_ms: Compared
    unknown: Compared
    in_flight: list[dict[str, Any]]
    channels: list[Channel]
    broken: list[str]
    not_judged: list[str]
    deploys: list[dict[str, Any]]


async def compare_hours(deps: Deps) -> Hours:
    """Two hours of minutes: a few thousand rows, however many payments there are."""
    since, until = last_hour(deps.clock.now())
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        now = await rollup_store.by_slot(conn, since, until, SLOT)
        then = await rollup_store.by_slot(conn, since - WEEK, until - WEEK, SLOT)
        times = await rollup_store.latencies_by_slot(conn, since, until, SLOT)
        times_then = await rollup_store.latencies_by_slot(conn, since - WEEK, until - WEEK, SLOT)
        unknown = await fact_store.unknown_by_slot(conn, since, until, SLOT)
        in_flight = await balances.held_at_channels(conn)
        checks = await invariant_store.latest(conn)
        deploys = await version_store.deploys(conn, since, deps.clock.now())
    used = [row for row in now if row["channel"] != NOT_KNOWN]
    used_then = [row for row in then if row["channel"] != NOT_KNOWN]
    judged: dict[str, bool | None] = {row["name"]: row["is_kept"] for row in checks}
    return Hours(
        since=since,
        until=until,
        volume=compare(now, then, since, volume),
        approval=compare(now, then, since, approval),
        blocked=compare(now, then, since, blocked),
        p95_ms=compare(times, times_then, since, p95_ms),
        unknown=compare(unknown, [], since, volume),
        in_flight=in_flight,
        channels=by_channel(used, used_then, since, deps.settings.channels),
        broken=[name for name, is_kept in judged.items() if is_kept is False],
        not_judged=[name for name in Invariant if judged.get(name) is None],
        deploys=deploys,
    )
