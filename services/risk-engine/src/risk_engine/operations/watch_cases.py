"""How long the review queue is: for dashboards, and for whoever plans the shifts."""

from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import cases


async def watch_cases(deps: Deps) -> None:
    """Show how many cases wait, and how many of them are past their time."""
    async with deps.engine.connect() as conn:
        metrics.note_cases(await cases.count_unclosed(conn, deps.clock.now()))
