"""Reconcile today and yesterday for every channel: what the schedule does."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from data_pipeline.clients.channel_files import FileNotAvailable
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import LedgerBehind, ReconcileDay, reconcile_day
from data_pipeline.operations.reconcile_payouts import LOOK_BACK, reconcile_payouts
from data_pipeline.store import payouts as payout_store
from platform_kit import canonical
from platform_kit.logging import get_logger

PAYOUT_DAYS: Final = (1, 2, 3)
"""Days whose payouts are looked for in any case: one arrives on the day after, and statements of a weekend may be late.
Older ones are looked for as long as one has not come, at most LOOK_BACK."""
MISSING_AGAIN_AFTER: Final = timedelta(days=1)
"""A bank may send the statement of an old day once more: one that lacked a payout is asked for daily."""

log = get_logger(__name__)


async def reconcile_recent(deps: Deps) -> None:
    """One run per day and channel; one that cannot run now does not keep the others from running. Then
    the payouts of the days before, and of older ones whose statement never came."""
    now = deps.clock.now()
    today = now.date()
    for day in (today - timedelta(days=1), today):
        for channel in deps.settings.channels:
            try:
                await reconcile_day(deps, ReconcileDay(channel, day))
            except (FileNotAvailable, LedgerBehind) as problem:
                canonical.increase("runs_put_off")
                log.warning("run put off", channel=channel, day=day.isoformat(), reason=str(problem.detail))
    for back in PAYOUT_DAYS:
        await reconcile_payouts(deps, today - timedelta(days=back))
    async with deps.engine.connect() as conn:
        overdue = await payout_store.awaited_days(
            conn, today - LOOK_BACK, today - timedelta(days=PAYOUT_DAYS[-1] + 1), now - MISSING_AGAIN_AFTER
        )
    for day in overdue:
        await reconcile_payouts(deps, day)
