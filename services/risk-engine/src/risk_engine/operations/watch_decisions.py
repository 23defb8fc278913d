"""Compare what the gateway acted upon with what is stored, and raise an alert where they differ."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from platform_kit import inbox
from platform_kit.logging import get_logger
from risk_engine.domain.acted_decisions import ActedDecision, Difference, difference_of, find_differences
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import acted_decisions, assessments, tables

CONSUMER, STREAM = "decisions", "payment_outcome"
SLICE = 5_000
SLICES_MAX = 20  # in one look: 1,600 payments a second are kept up with
SETTLED_AFTER = timedelta(minutes=2)  # what is decided in time and stored after the answer is there by then
RECENT = timedelta(hours=1)  # a difference is found once: its alert stays for so long
WATCHED = frozenset({"decision_differs"})

log = get_logger(__name__)


async def watch_decisions(deps: Deps, *, now: datetime | None = None) -> int:
    """One look, and its alerts; returns how many payments were compared."""
    compared = 0
    for _ in range(SLICES_MAX):
        number = await _compare_slice(deps, now)
        compared += number
        if number < SLICE:
            break
    async with deps.engine.begin() as conn:
        now = now or await assessments.database_now(conn)
        recent = await acted_decisions.recent(conn, now - RECENT)
        await settle_alerts(deps, conn, find_differences(recent), WATCHED, now)
    return compared


async def _compare_slice(deps: Deps, now: datetime | None) -> int:
    """In one transaction with its cursor: a difference is counted once, whoever else looks."""
    async with deps.engine.begin() as conn:
        now = now or await assessments.database_now(conn)
        seen = await inbox.read_cursor(conn, tables.consumer_cursor, CONSUMER, STREAM)
        to, acted = await acted_decisions.after(conn, seen, now - SETTLED_AFTER, SLICE)
        if not acted or not await inbox.move_cursor(
            conn, tables.consumer_cursor, CONSUMER, STREAM, seen=seen, to=to
        ):
            return 0  # nothing new, or another worker was quicker
        found = [(one, kind) for one in acted if (kind := difference_of(one))]
        await acted_decisions.add(conn, found, now)
    _note(acted, found)
    return len(acted)


def _note(acted: Sequence[ActedDecision], found: Sequence[tuple[ActedDecision, Difference]]) -> None:
    metrics.decisions_compared_total.labels("all").inc(len(acted))
    for one, kind in found:
        metrics.decisions_compared_total.labels(kind.value).inc()
        log.error(
            "decision differs",
            difference=kind.value,
            payment_id=one.payment_id,
            assessment_id=one.assessment_id,
            acted_on=one.acted_on,
            stored=one.stored,
        )
