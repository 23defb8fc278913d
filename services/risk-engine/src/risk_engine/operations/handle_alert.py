"""What people do about alerts: acknowledge, resolve, try a channel. Each act is a row with their name."""

from typing import Any

from platform_kit.problems import NotFound, Problem
from risk_engine.domain.alert_message import trial_message
from risk_engine.domain.alerts import Act, Status
from risk_engine.domain.staff import Actor
from risk_engine.operations.deps import Deps
from risk_engine.operations.settle_alerts import record_act
from risk_engine.store import alert_deliveries, alerts


class AlertIsOver(Problem):
    status, code, title = 409, "alert-is-over", "The alert is resolved"


class AlertIsTaken(Problem):
    status, code, title = 409, "alert-is-taken", "Somebody else has acknowledged the alert"


async def acknowledge_alert(deps: Deps, alert_id: str, actor: Actor, note: str | None) -> dict[str, Any]:
    """Somebody looks at it: it escalates no further. Doing it twice is doing it once.

    Raises NotFound, AlertIsTaken, AlertIsOver.
    """
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        alert = await alerts.acknowledge(conn, alert_id, actor.name, now)
        if alert is not None:
            await record_act(deps, conn, alert, Act.ACKNOWLEDGED, actor.name, note, now)
            return alert
        alert = await alerts.find(conn, alert_id)
    if alert is None:
        raise NotFound("No alert has this id.")
    if alert["status"] == Status.RESOLVED:
        raise AlertIsOver(f"It was resolved by {alert['resolved_by']}; nothing is left to acknowledge.")
    if alert["acknowledged_by"] != actor.name:
        raise AlertIsTaken(f"{alert['acknowledged_by']} looks at it; you may resolve it all the same.")
    return alert


async def resolve_alert(deps: Deps, alert_id: str, actor: Actor, note: str) -> dict[str, Any]:
    """It is over, and `note` says why. The same trouble raises no alert for the cooldown of its kind.

    Raises NotFound, AlertIsOver.
    """
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        alert = await alerts.resolve(conn, alert_id, actor.name, now)
        if alert is not None:
            await record_act(deps, conn, alert, Act.RESOLVED, actor.name, note, now)
            return alert
        alert = await alerts.find(conn, alert_id)
    if alert is None:
        raise NotFound("No alert has this id.")
    raise AlertIsOver(f"It was resolved by {alert['resolved_by']} before.")


async def try_channel(deps: Deps, channel: str, actor: Actor) -> dict[str, Any]:
    """Make a trial message due on a channel; the worker sends it as it sends alerts. Raises NotFound."""
    if channel not in {one.name for one in deps.channels}:
        raise NotFound("No channel has this name; `GET /v1/alert-channels` lists them.")
    async with deps.engine.begin() as conn:
        message = trial_message(channel, actor.name, deps.clock.now())
        delivery_id = await alert_deliveries.add_trial(conn, channel, message)
        delivery = await alert_deliveries.find(conn, delivery_id)
    assert delivery is not None
    return delivery
