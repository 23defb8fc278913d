"""The dead-man's switch: tell somebody outside that alerting works. When this stops, they raise the alarm.

It is sent only when a look was finished lately: a worker that runs and sees nothing is as bad as none.
"""

from datetime import timedelta

from platform_kit.logging import get_logger
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import job_runs

LOOKED_WITHIN = timedelta(minutes=3)

log = get_logger(__name__)


async def send_heartbeat(deps: Deps) -> str:
    """`sent`, `failed`, `withheld` (no look was finished lately) or `off` (no URL is set)."""
    url = deps.settings.risk_dead_man_url.get_secret_value()
    if not url:
        return "off"
    async with deps.engine.connect() as conn:
        looked = await job_runs.finished_within(conn, "risk.raise_alerts", LOOKED_WITHIN)
    error = await deps.alert_sender.ping(url) if looked else "no-look"
    outcome = "sent" if error is None else "failed" if looked else "withheld"
    metrics.alert_heartbeats_total.labels(outcome).inc()
    if error is not None:
        log.warning("no heartbeat", error=error, outcome=outcome)
    return outcome
