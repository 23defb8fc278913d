"""Give events that were set aside up: they will never have an effect, and the row says who decided so and why."""

from __future__ import annotations

from data_pipeline.operations.deps import Deps
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store.quarantine import Chosen
from platform_kit.logging import get_logger

log = get_logger(__name__)


async def discard_quarantine(deps: Deps, chosen: Chosen, actor: str, reason: str) -> list[int]:
    """Discard what is open of `chosen`; the ids of the rows that were. The events stay in the table."""
    async with deps.engine.begin() as conn:
        discarded = await quarantine_store.discard(conn, chosen, actor, reason)
    log.warning("events discarded", actor=actor, reason=reason, count=len(discarded))
    return discarded
