"""Recompute the hash chain a slice a minute, over and over, and raise an alert where it breaks."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.alerts import Signal
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import assessment_chain, assessments
from risk_engine.store.assessment_chain import Watch

SLICE = 5_000  # links: about a second of a core, and seven million decisions a day
WATCHED = frozenset({"chain_broken"})


async def watch_chain(deps: Deps, *, now: datetime | None = None, limit: int = SLICE) -> int:
    """Returns how many links were recomputed. A break is remembered and looked at each time: its alert fires until it
    is mended, and the watch goes on behind it; a head that is gone stays the one to find again."""
    async with deps.engine.begin() as conn:
        seen = await assessment_chain.watch(conn)
        if seen is None:
            return 0
        now = now or await assessments.database_now(conn)
        is_cut = await assessment_chain.is_cut(conn, seen)
        found = await assessment_chain.recompute(conn, seen.checked_to, limit)
        broken_at = await _still_broken(conn, seen) or found.broken_at
        to = found.last if found.length == limit and found.last else 0  # from the beginning
        position, head = (
            (seen.head_position, seen.head_hash) if is_cut else await assessment_chain.head_of(conn)
        )
        await assessment_chain.keep_watch(conn, Watch(to, position, head, broken_at))
        signals = _signals(seen, broken_at, is_cut)
        await settle_alerts(deps, conn, signals, WATCHED, now)
    return found.length


async def _still_broken(conn: AsyncConnection, seen: Watch) -> int | None:
    """The break that is known already, unless it is mended."""
    if seen.broken_at is None:
        return None
    return (await assessment_chain.recompute(conn, seen.broken_at - 1, 1)).broken_at


def _signals(seen: Watch, broken_at: int | None, is_cut: bool) -> list[Signal]:
    """At most one: a cut is told before a break, for it says more."""
    if is_cut:
        where = f"The link at position {seen.head_position:,} was the head once and is gone or another one."
        return [Signal("chain_broken", where, measures={"head_position": seen.head_position})]
    if broken_at is not None:
        where = f"The chain breaks at position {broken_at:,}: the assessment there is not the one chained."
        return [Signal("chain_broken", where, measures={"broken_at": broken_at})]
    return []
