"""Roll-ups that an older release left out, made anew from what they add up."""

from __future__ import annotations

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.operations.deps import Deps
from data_pipeline.settings import CONSUMER
from data_pipeline.store import balances as balance_store
from data_pipeline.store import events as event_store
from data_pipeline.store import report_hours as hour_store
from data_pipeline.store import rollups as rollup_store
from data_pipeline.store.tables import cursor
from platform_kit import inbox


async def complete_rollups(deps: Deps) -> None:
    """For who is about to consume payments: the release before may have stored them until just now. A transaction of
    its own, so that a batch that fails takes nothing back; under the cursor's lock: nobody moves them meanwhile.

    Whether it did is one number beside another (ADR 176): between consumers of this release nothing is added up. Hours
    of reports are let go each time: a release that does not say which ones it changes may have been here."""
    async with deps.engine.begin() as conn:
        await inbox.lock_cursor(conn, cursor, CONSUMER, PAYMENTS)
        await hour_store.renew(conn)
        if await event_store.are_rolled_up(conn, PAYMENTS):
            return
        await rollup_store.complete_hours(conn)
        await balance_store.complete(conn)
        await event_store.mark_rolled_up(conn, PAYMENTS)
