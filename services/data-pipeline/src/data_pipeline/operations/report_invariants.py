"""What was found of the invariants."""

from __future__ import annotations

from typing import Any

from data_pipeline.domain.invariants import Invariant
from data_pipeline.operations.deps import Deps
from data_pipeline.store import invariants as invariant_store


async def report_invariants(deps: Deps) -> dict[str, Any]:
    """The last look at each, and whether all were judged and kept."""
    async with deps.engine.connect() as conn:
        found = await invariant_store.latest(conn)
    is_kept = len(found) == len(Invariant) and all(row["is_kept"] for row in found)
    return {"kept": is_kept, "data": found}


async def report_history(deps: Deps, name: Invariant, limit: int) -> dict[str, Any]:
    """Looks at one invariant, newest first. What held is kept for two weeks, what did not for good."""
    async with deps.engine.connect() as conn:
        return {"data": await invariant_store.history(conn, name, limit)}
