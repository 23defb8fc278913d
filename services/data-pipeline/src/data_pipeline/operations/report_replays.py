"""Replays: the latest, or one, with its progress."""

from __future__ import annotations

from typing import Any

from data_pipeline.operations.deps import Deps
from data_pipeline.store import replay as replay_store
from platform_kit.problems import NotFound


async def list_replays(deps: Deps, limit: int) -> list[dict[str, Any]]:
    """The latest first."""
    async with deps.engine.connect() as conn:
        return await replay_store.latest(conn, limit)


async def show_replay(deps: Deps, run_id: str) -> dict[str, Any]:
    """One replay: `done_count` of `row_count` events, and how its totals compare. Raises NotFound."""
    async with deps.engine.connect() as conn:
        run = await replay_store.run(conn, run_id)
    if run is None:
        raise NotFound("There is no replay with this id.")
    return run
