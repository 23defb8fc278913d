"""What was set aside: a page of it, or one event with its sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from data_pipeline.clients.event_sources import PAYMENTS, RISK
from data_pipeline.operations.deps import Deps
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store.quarantine import Chosen, digest_of
from platform_kit.problems import NotFound

GROUPS_MAX: Final = 50
CHOSEN_MAX: Final = 10_000
"""Events that a page adds up, and that are discarded together: more are no choice that somebody has looked at."""
OWNERS: Final = {PAYMENTS: "payment-gateway", RISK: "risk-engine"}
"""Who tells the events of a stream, and so mends one that breaks its contract."""


async def report_quarantine(
    deps: Deps, chosen: Chosen, state: str | None, after: int, limit: int
) -> dict[str, Any]:
    """Rows above the id `after`, oldest first; `next_after` leads to more, None at the end."""
    async with deps.engine.connect() as conn:
        rows = await quarantine_store.page(conn, chosen, state, after, limit + 1)
    shown = [_owned(row) for row in rows[:limit]]
    return {"data": shown, "next_after": shown[-1]["id"] if len(rows) > limit else None}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is open: the oldest CHOSEN_MAX by reason, how many fit a choice and which, and the moment that this is true
    of, by the database's clock. `is_at_least`: more fit than `chosen_count`, and no digest names them."""

    groups: list[dict[str, Any]]
    chosen_count: int
    chosen_digest: str
    at: datetime
    is_at_least: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether newer ones may be in no group."""
        return bool(sum(one["event_count"] for one in self.groups) >= CHOSEN_MAX)


async def survey_quarantine(deps: Deps, chosen: Chosen) -> Waiting:
    """What waits for a person, and how much of it is chosen."""
    async with deps.engine.connect() as conn:
        at = await quarantine_store.now(conn)
        groups = await quarantine_store.groups(conn, GROUPS_MAX, CHOSEN_MAX)
        ids = await quarantine_store.open_ids(conn, replace(chosen, seen_before=at), CHOSEN_MAX + 1)
    told = [_owned(row) for row in groups]
    if len(ids) > CHOSEN_MAX:
        return Waiting(told, CHOSEN_MAX, "", at, is_at_least=True)
    return Waiting(told, len(ids), digest_of(ids), at)


async def show_quarantined(deps: Deps, row_id: int) -> dict[str, Any]:
    """One row with `payload`, the event as received. Raises NotFound."""
    async with deps.engine.connect() as conn:
        row = await quarantine_store.one(conn, row_id)
    if row is None:
        raise NotFound("No event was set aside under this id.")
    return _owned(row)


def _owned(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"owner": OWNERS.get(row["stream"])}
