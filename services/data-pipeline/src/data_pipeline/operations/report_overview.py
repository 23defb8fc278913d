"""The overview: is money moving normally now? Read from roll-ups; no page counts payments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.figures import approval_rate, blocked_share, every_minute, total
from data_pipeline.domain.rollups import Grain, bucket_start, percentile_ms
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import StreamStatus, read_streams
from data_pipeline.store import breaks as break_store
from data_pipeline.store import facts as fact_store
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store import rollups as rollup_store
from data_pipeline.store import runs as run_store

CHART_MINUTES: Final = 60
LATEST_PAYMENTS: Final = 15
BREAKS_SHOWN: Final = 50
RECONCILED_DAYS: Final = 2  # today and yesterday are what the schedule reconciles


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the first page shows, as of one moment. Rates are shares from 0 to 1, or None."""

    now: datetime
    day: date
    streams: Mapping[str, StreamStatus]
    payment_count: int
    approval_rate: float | None
    blocked_share: float | None
    p95_ms: int | None
    unknown_count: int
    oldest_unknown_at: datetime | None
    open_break_count: int
    open_quarantine_count: int
    volumes: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    minutes: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    breaks: list[dict[str, Any]]


async def report_overview(deps: Deps) -> Overview:
    """One read of each small table, in one snapshot."""
    now = deps.clock.now()
    today = bucket_start(now, Grain.DAY)
    tomorrow = today + timedelta(days=1)
    streams = await read_streams(deps)
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        volumes = await rollup_store.by_currency(conn, Grain.DAY, today, tomorrow)
        decisions = await rollup_store.by_decision(conn, Grain.DAY, today, tomorrow)
        minutes = await rollup_store.by_bucket(
            conn, Grain.MINUTE, now - timedelta(minutes=CHART_MINUTES), tomorrow
        )
        unknown_count, oldest_unknown_at = await fact_store.unknown_now(conn)
        first = (today - timedelta(days=RECONCILED_DAYS - 1)).date()
        return Overview(
            now=now,
            day=today.date(),
            streams=streams,
            payment_count=total(volumes, "payment_count"),
            approval_rate=approval_rate(decisions),
            blocked_share=blocked_share(decisions),
            p95_ms=percentile_ms(await rollup_store.latencies(conn, now - timedelta(hours=1)), 0.95),
            unknown_count=unknown_count,
            oldest_unknown_at=oldest_unknown_at,
            open_break_count=await break_store.count_open(conn),
            open_quarantine_count=(await quarantine_store.open_summary(conn))[0],
            volumes=volumes,
            decisions=decisions,
            minutes=every_minute(minutes, now, CHART_MINUTES),
            payments=await fact_store.latest_payments(conn, LATEST_PAYMENTS),
            runs=await run_store.latest_runs(conn, deps.settings.channels, first, today.date()),
            breaks=await break_store.open_breaks(conn, first, today.date(), BREAKS_SHOWN),
        )
