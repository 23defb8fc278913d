"""Forget what no longer serves: outcomes past every window and old alerts. Assessments are kept: the program cannot
delete them."""

from datetime import timedelta

from risk_engine.operations.deps import Deps
from risk_engine.store import alert_deliveries, alerts, decision_minutes, outcomes

OUTCOMES_KEPT = timedelta(days=35)  # the longest window and some days to look at
ALERTS_KEPT = timedelta(days=90)
MINUTES_KEPT = timedelta(days=14)


async def forget_old_rows(deps: Deps) -> int:
    """Delete old rows; returns how many."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        await decision_minutes.prune(conn, now - MINUTES_KEPT)
        return (
            await outcomes.prune(conn, now - OUTCOMES_KEPT)
            + await alerts.prune(conn, now - ALERTS_KEPT)
            + await alert_deliveries.prune(conn, now - ALERTS_KEPT)
        )
