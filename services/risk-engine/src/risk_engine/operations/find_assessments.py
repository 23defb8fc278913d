"""Read assessments back."""

from typing import Any

from platform_kit.problems import NotFound
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments


async def find_assessment(deps: Deps, assessment_id: str) -> dict[str, Any]:
    """One assessment with everything recorded. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await assessments.find(conn, assessment_id)
    if found is None:
        raise NotFound("No assessment has this id.")
    return found


async def find_assessments(
    deps: Deps, decision: Decision | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page of the newest, and the cursor of the next one."""
    async with deps.engine.connect() as conn:
        rows = await assessments.page(conn, decision=decision, before=cursor, limit=limit + 1)
    is_last = len(rows) <= limit
    return {"data": rows[:limit], "next_cursor": None if is_last else rows[limit - 1]["id"]}
