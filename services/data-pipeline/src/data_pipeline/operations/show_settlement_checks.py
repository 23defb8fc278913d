"""How far settlements were compared with the facts, and the movements that were found in none of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.operations.deps import Deps
from data_pipeline.store import settlement_checks

LIST_MAX: Final = 200


async def how_far(conn: AsyncConnection) -> dict[str, Any]:
    """The walk's positions and times, the oldest look at a batch, batches without one, and of the movements that were
    left out what the next batch takes and what none can."""
    next_batch, none = await settlement_checks.untaken(conn)
    walk, coverage = await settlement_checks.walk(conn), await settlement_checks.coverage(conn)
    return {**asdict(walk), **coverage, "next_batch_count": next_batch, "no_batch_count": none}


async def show_checks(deps: Deps) -> dict[str, Any]:
    """The same, with the batches that differ."""
    async with deps.engine.connect() as conn:
        return {"differing": await settlement_checks.differing(conn, LIST_MAX), **await how_far(conn)}


async def list_left_out(
    deps: Deps, before: settlement_checks.LeftOutKey | None, limit: int
) -> list[dict[str, Any]]:
    """Movements that were found left out, the newest first. `taken_by` is the batch that has it by now; without one
    `next_batch_id` is the open batch that takes it, or none can."""
    async with deps.engine.connect() as conn:
        found = await settlement_checks.left_out(conn, before, limit)
    return [_shown(one) for one in found]


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    waits = one["batch_id"] is None and one["is_takeable"]
    told = {name: value for name, value in one.items() if name not in ("is_takeable", "batch_id")}
    return {**told, "taken_by": one["batch_id"], "next_batch_id": one["next_batch_id"] if waits else None}
