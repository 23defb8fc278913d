"""Judge the model by its newest labels, against those before them."""

import asyncio
from datetime import datetime

from risk_engine.domain.model_quality import SAMPLE_SIZE, find_quality
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import assessments, labelled

WATCHED = frozenset({"model_quality"})


async def watch_quality(deps: Deps, *, now: datetime | None = None) -> int:
    """One look, and its alert; returns how many labelled decisions were compared."""
    if deps.scorer is None:
        return 0
    async with deps.engine.connect() as conn:
        now = now or await assessments.database_now(conn)
        known = await labelled.newest(conn, deps.scorer.hash, now, 2 * SAMPLE_SIZE)
    signals = await asyncio.to_thread(find_quality, known[:SAMPLE_SIZE], known[SAMPLE_SIZE:])
    async with deps.engine.begin() as conn:
        await settle_alerts(deps, conn, signals, WATCHED, now)
    return len(known)
