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
    """What is open: by reason, how many fit a choice and which, and the moment that this is true of, by the
    database's clock."""

    groups: list[dict[str, Any]]
    chosen_count: int
    chosen_digest: str
    at: datetime


async def survey_quarantine(deps: Deps, chosen: Chosen) -> Waiting:
    """What waits for a person, and how much of it is chosen."""
    async with deps.engine.connect() as conn:
        at = await quarantine_store.now(conn)
        groups = await quarantine_store.groups(conn, GROUPS_MAX)
        ids = await quarantine_store.open_ids(conn, replace(chosen, seen_before=at))
    return Waiting([_owned(row) for row in groups], len(ids), digest_of(ids), at)


async def show_quarantined(deps: Deps, row_id: int) -> dict[str, Any]:
    """One row with `payload`, the event as received. Raises NotFound."""
    async with deps.engine.connect() as conn:
        row = await quarantine_store.one(conn, row_id)
    if row is None:
        raise NotFound("No event was set aside under this id.")
    return _owned(row)


def _owned(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"owner": OWNERS.get(row["stream"])}
