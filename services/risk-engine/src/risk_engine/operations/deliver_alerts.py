"""Tell the channels what is due. Each attempt is bounded in time and recorded by itself, so a receiver that hangs
delays nobody: the others are done meanwhile, and the next run takes what became due."""

import asyncio

from platform_kit.logging import get_logger
from risk_engine.domain.delivery import pause_after
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import alert_deliveries
from risk_engine.store.alert_deliveries import Due

PER_CHANNEL = 10  # attempts at one channel in one run

log = get_logger(__name__)


async def deliver_alerts(deps: Deps) -> int:
    """One run; returns how many attempts were made. Safe to be cut off: a lease gives back what was taken."""
    names = [one.name for one in deps.channels]
    async with deps.engine.begin() as conn:
        abandoned = await alert_deliveries.abandon(conn, names)
        due = await alert_deliveries.claim(conn, names, PER_CHANNEL) if names else []
    for channel in abandoned:
        log.warning("alert given up", channel=channel, error="no-such-channel")
        metrics.alert_deliveries_total.labels(
            "none", "given_up"
        ).inc()  # its name is no label of ours any more
    await asyncio.gather(*(_deliver(deps, one) for one in due))
    async with deps.engine.connect() as conn:
        metrics.alert_delivery_waiting_seconds.set(await alert_deliveries.waiting_s(conn))
    return len(due)


async def _deliver(deps: Deps, due: Due) -> None:
    at_s = int(deps.clock.now().timestamp())
    error = await deps.alert_sender.send(due.channel, due.id, at_s, due.message)
    pause = None if error is None else pause_after(due.attempts)
    status = "delivered" if error is None else "given_up" if pause is None else "due"
    async with deps.engine.begin() as conn:
        if pause is None:
            await alert_deliveries.settle(conn, due.id, status, error)
        else:
            await alert_deliveries.settle(conn, due.id, status, error, pause)
    outcome = "failed" if status == "due" else status
    metrics.alert_deliveries_total.labels(due.channel, outcome).inc()
    if error is not None:
        log.warning(
            "alert not delivered", channel=due.channel, delivery_id=due.id, error=error, outcome=outcome
        )
