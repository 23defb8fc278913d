"""Recompute the hash chain a slice a minute, over and over, and raise an alert where it breaks."""

from dataclasses import replace
from datetime import datetime

from risk_engine.domain.alerts import Signal
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import assessment_chain, assessments
from risk_engine.store.assessment_chain import Checked, Watch

SLICE = 5_000  # links: about a second of a core, and seven million decisions a day
WATCHED = frozenset({"chain_broken"})


async def watch_chain(deps: Deps, *, now: datetime | None = None, limit: int = SLICE) -> int:
    """Returns how many links were recomputed. At a break the watch stays where it is, so the alert fires on until the
    break is gone; what it has seen is written down with the alert."""
    async with deps.engine.begin() as conn:
        seen = await assessment_chain.watch(conn)
        if seen is None:
            return 0
        now = now or await assessments.database_now(conn)
        is_cut = await assessment_chain.is_cut(conn, seen)
        found = await assessment_chain.recompute(conn, seen.checked_to, limit)
        signals = _signals(seen, found, is_cut)
        if not signals:
            to = found.last if found.length == limit and found.last else 0  # from the beginning
            position, head = await assessment_chain.head_of(conn)
            moved = replace(seen, checked_to=to, head_position=position, head_hash=head)
            await assessment_chain.keep_watch(conn, moved)
        await settle_alerts(deps, conn, signals, WATCHED, now)
    return found.length


def _signals(seen: Watch, found: Checked, is_cut: bool) -> list[Signal]:
    """At most one: a cut is told before a break, for it says more."""
    if is_cut:
        where = f"The link at position {seen.head_position:,} was the head once and is gone or another one."
        return [Signal("chain_broken", where, measures={"head_position": seen.head_position})]
    if found.broken_at is not None:
        where = (
            f"The chain breaks at position {found.broken_at:,}: the assessment there is not the one chained."
        )
        return [Signal("chain_broken", where, measures={"broken_at": found.broken_at})]
    return []
