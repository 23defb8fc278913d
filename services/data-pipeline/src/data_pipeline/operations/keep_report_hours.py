"""Count the hours of reports that changed, so that nobody waits for a week of facts when a page is opened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from data_pipeline.domain.questions import ask
from data_pipeline.domain.report_hours import ADDED_UP
from data_pipeline.operations.add_up_hours import add_up_hours, keep_hours
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.run_report import at_one_moment
from data_pipeline.store import report_hours as hour_store

DAYS: Final = timedelta(days=8)
"""A page that nobody has asked anything yet shows a week."""
BUDGET_S: Final = 10.0
"""A minute has one run: what it does not reach is counted by who asks."""
KEPT_FOR: Final = timedelta(days=35)


async def keep_report_hours(deps: Deps, budget_s: float = BUDGET_S) -> int:
    """How many hours were counted."""
    deadline, count = asyncio.get_running_loop().time() + budget_s, 0
    until = deps.clock.now().replace(minute=0, second=0, microsecond=0)
    for name in sorted(ADDED_UP):
        if asyncio.get_running_loop().time() > deadline:
            break
        async with deps.engine.begin() as conn:
            await at_one_moment(conn)
            found = await add_up_hours(conn, ask(name, until - DAYS, until))
        count += await keep_hours(deps, found) if found else 0
    async with deps.engine.begin() as conn:
        await hour_store.forget(conn, deps.clock.now() - KEPT_FOR)
    return count
