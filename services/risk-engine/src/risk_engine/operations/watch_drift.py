"""Compare what the model sees with what it saw: a sample of the last day against the pinned reference."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.logging import get_logger
from platform_kit.problems import Problem
from risk_engine.domain.drift import SAMPLE_SIZE, SCORE, Columns, Drift, compare, find_drift, spread
from risk_engine.domain.features import features_of_decision
from risk_engine.domain.staff import ENGINE, Actor
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import assessments, drift

WINDOW = timedelta(days=1)
WATCHED = frozenset({"feature_drift", "score_drift"})

log = get_logger(__name__)


class NothingToCompare(Problem):
    status, code, title = 409, "nothing-to-compare", "There are too few decisions by this model"

    def __init__(self) -> None:
        super().__init__(
            f"It takes {SAMPLE_SIZE} decisions of the last day that the loaded model scored; wait for more."
        )


async def watch_drift(deps: Deps, *, now: datetime | None = None) -> list[Drift]:
    """One look, and its alerts. The first whole sample of a model becomes its reference, until somebody pins another.

    Returns what was compared; nothing without a model or with too few decisions.
    """
    async with deps.engine.begin() as conn:
        now = now or await assessments.database_now(conn)
        columns = await _columns(deps, conn, now)
        if columns is None or deps.scorer is None:
            return []
        reference = await drift.reference(conn, deps.scorer.hash)
        if reference is None:
            await drift.pin(conn, deps.scorer.hash, columns, ENGINE)
            log.info("reference of drift pinned", model=deps.scorer.hash)
            return []
    drifts = await asyncio.to_thread(compare, reference.samples, columns)
    async with deps.engine.begin() as conn:
        await settle_alerts(deps, conn, find_drift(drifts), WATCHED, now)
    return drifts


async def read_drift(deps: Deps) -> dict[str, Any]:
    """The comparison as of now. Raises NothingToCompare."""
    async with deps.engine.connect() as conn:
        columns = await _columns(deps, conn, await assessments.database_now(conn))
        reference = await drift.reference(conn, deps.scorer.hash) if deps.scorer else None
    if columns is None or reference is None:
        raise NothingToCompare()
    drifts = await asyncio.to_thread(compare, reference.samples, columns)
    return {
        "object": "drift",
        "reference": reference.as_answer(),
        "sample_size": SAMPLE_SIZE,
        "columns": [{"name": one.column, "psi": round(one.psi, 4), "ks": round(one.ks, 4)} for one in drifts],
    }


async def pin_reference(deps: Deps, actor: Actor) -> dict[str, Any]:
    """What is seen today is as it should be: compare with it from now on. Raises NothingToCompare."""
    async with deps.engine.begin() as conn:
        columns = await _columns(deps, conn, await assessments.database_now(conn))
        if columns is None or deps.scorer is None:
            raise NothingToCompare()
        pinned = await drift.pin(conn, deps.scorer.hash, columns, actor.name)
    return pinned.as_answer()


async def _columns(deps: Deps, conn: AsyncConnection, now: datetime) -> Columns | None:
    """A sample by column, the score among them; None when there are too few decisions."""
    if deps.scorer is None:
        return None
    found = await drift.sample(conn, deps.scorer.hash, now - WINDOW)
    if len(found) < SAMPLE_SIZE:
        return None
    inputs = deps.scorer.features
    rows = spread([[*features_of_decision(facts, inputs), float(score)] for facts, score in found])
    names = (*inputs, SCORE)
    return {
        name: [round(value, 6) for value in column]
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
