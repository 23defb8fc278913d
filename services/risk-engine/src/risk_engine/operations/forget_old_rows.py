"""Forget what no longer serves: outcomes past every window, old alerts and differences, ended list entries, entities of
closed cases. Assessments are kept: the program cannot delete them."""

from datetime import timedelta

from risk_engine.domain.related_payments import LINKED_FOR
from risk_engine.operations.deps import Deps
from risk_engine.store import (
    acted_decisions,
    alert_deliveries,
    alerts,
    case_intake,
    decision_minutes,
    lists,
    outcomes,
    payment_links,
)

OUTCOMES_KEPT = timedelta(days=35)  # the longest window and some days to look at
ALERTS_KEPT = timedelta(days=90)
MINUTES_KEPT = timedelta(days=14)
ENTRIES_KEPT = timedelta(days=90)  # after their end: backtests ask who was on a list when
ENTITIES_KEPT = timedelta(days=1)  # after their case was closed: they only say where the next payment looks


async def forget_old_rows(deps: Deps) -> int:
    """Delete old rows; returns how many."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        await decision_minutes.prune(conn, now - MINUTES_KEPT)
        pruned = await outcomes.prune(conn, now - OUTCOMES_KEPT)
        pruned += await alerts.prune(conn, now - ALERTS_KEPT)
        pruned += await alert_deliveries.prune(conn, now - ALERTS_KEPT)
        pruned += await acted_decisions.prune(conn, now - ALERTS_KEPT)
        pruned += await lists.prune(conn, now - ENTRIES_KEPT)
        pruned += await payment_links.prune(conn, now - LINKED_FOR)
    async with deps.engine.begin() as conn:  # of its own: it holds locks that assessments wait for
        return pruned + await case_intake.forget_entities(conn, now - ENTITIES_KEPT)
