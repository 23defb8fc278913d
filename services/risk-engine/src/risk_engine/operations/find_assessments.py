"""Read assessments back."""

from typing import Any

from platform_kit.clock import isoformat
from platform_kit.problems import NotFound
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments
from risk_engine.store.assessments import Wanted

SEARCHED_MAX = 10_000  # rows that one request looks at: some 100 ms of one core when nothing of them fits


async def find_assessment(deps: Deps, assessment_id: str) -> dict[str, Any]:
    """One assessment with everything recorded. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await assessments.find(conn, assessment_id)
    if found is None:
        raise NotFound("No assessment has this id.")
    return found


async def find_assessments(deps: Deps, wanted: Wanted, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of the newest that fit, and the cursor of the next one; `searched_to` is a time when the page ends there
    because SEARCHED_MAX rows were looked at, and not because there are no older ones."""
    async with deps.engine.connect() as conn:
        found = await assessments.page(
            conn, wanted, before=cursor, limit=limit + 1, searched_max=SEARCHED_MAX
        )
    if len(found.rows) > limit:
        return {"data": found.rows[:limit], "next_cursor": found.rows[limit - 1]["id"], "searched_to": None}
    searched_to = isoformat(found.stopped_at) if found.stopped_at else None
    return {"data": found.rows, "next_cursor": found.stopped_at_id, "searched_to": searched_to}
