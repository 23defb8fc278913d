"""Warn when decisions turn: the share of blocked (or blocked and challenged) payments of the last minutes against
the hour before. One alert per kind and slot, with its event in the same transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from platform_kit import outbox
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.outbox import Event
from risk_engine.domain.alerts import Spike, find_spikes
from risk_engine.operations.deps import Deps
from risk_engine.store import alerts, assessments, tables

RAISED = "risk.alert_raised.v1"
WINDOW = timedelta(minutes=5)
BASELINE = timedelta(minutes=60)
COOLDOWN = timedelta(minutes=15)  # one incident is one alert, not one a minute

log = get_logger(__name__)


async def raise_alerts(deps: Deps) -> Sequence[str]:
    """Look at the last five minutes; returns the ids of the alerts raised."""
    now = deps.clock.now()
    slot_at = now.replace(second=0, microsecond=0)
    async with deps.engine.begin() as conn:
        recent = await assessments.count_decisions(conn, now - WINDOW, now)
        before = await assessments.count_decisions(conn, now - WINDOW - BASELINE, now - WINDOW)
        raised: list[Event] = []
        for spike in find_spikes(recent, before):
            last = await alerts.last_slot(conn, spike.kind)
            if last is not None and slot_at - last < COOLDOWN:
                continue
            alert_id = new_id("alr")
            if await alerts.add(conn, alert_id, spike.kind, slot_at, spike.as_details()):
                raised.append(_event(alert_id, spike, slot_at, now))
        await outbox.append(conn, tables.outbox, raised)
    for event in raised:
        log.warning("risk alert", **event.data["alert"])
    return [event.aggregate_id for event in raised]


def _event(alert_id: str, spike: Spike, slot_at: datetime, now: datetime) -> Event:
    alert: Mapping[str, Any] = {
        "id": alert_id,
        "kind": spike.kind,
        "slot_at": slot_at.isoformat(),
        "details": spike.as_details(),
    }
    return Event(new_id("evt"), RAISED, alert_id, {"alert": alert}, now)


async def list_alerts(deps: Deps, limit: int) -> Sequence[dict[str, Any]]:
    """The newest alerts."""
    async with deps.engine.connect() as conn:
        return await alerts.newest(conn, limit)
