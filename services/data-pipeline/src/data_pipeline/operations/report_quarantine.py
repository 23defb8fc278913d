"""What was set aside: a page of it, or one event with its sample."""

from __future__ import annotations

from typing import Any, Final

from data_pipeline.clients.event_sources import PAYMENTS, RISK
from data_pipeline.operations.deps import Deps
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store.quarantine import Chosen
from platform_kit.problems import NotFound

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


async def show_quarantined(deps: Deps, row_id: int) -> dict[str, Any]:
    """One row with `payload`, the event as received. Raises NotFound."""
    async with deps.engine.connect() as conn:
        row = await quarantine_store.one(conn, row_id)
    if row is None:
        raise NotFound("No event was set aside under this id.")
    return _owned(row)


def _owned(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"owner": OWNERS.get(row["stream"])}
