"""Give events that were set aside up: they will never have an effect, and the row says who decided so and why."""

from __future__ import annotations

from data_pipeline.operations.deps import Deps
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store.quarantine import Chosen, digest_of
from platform_kit.logging import get_logger
from platform_kit.problems import Problem

log = get_logger(__name__)


class NotWhatWasSeen(Problem):
    status, code, title = 409, "others-wait", "Other events wait than were seen"


async def discard_quarantine(
    deps: Deps, chosen: Chosen, actor: str, reason: str, *, seen: str | None = None
) -> list[int]:
    """Discard what is open of `chosen`; the ids of the rows that were. The events stay in the table.

    `seen` is the `digest_of` what somebody looked at. Raises NotWhatWasSeen when other rows would go: an event may be
    set aside before a page is opened, and be there only after it.
    """
    async with deps.engine.begin() as conn:
        discarded = await quarantine_store.discard(conn, chosen, actor, reason)
        if seen is not None and digest_of(discarded) != seen:
            raise NotWhatWasSeen("Look again: others have come, or somebody has dealt with some of these.")
    log.warning("events discarded", actor=actor, reason=reason, count=len(discarded))
    return discarded
