"""Bring the alerts on record in step with what a look has seen: rows, acts, events, deliveries in one transaction."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.outbox import Event
from risk_engine.domain.alert_message import message_of
from risk_engine.domain.alerts import (
    TOLD,
    Act,
    Change,
    Escalate,
    Raise,
    Reopen,
    Resolve,
    SeenAgain,
    Signal,
    changes_of,
    remembered_since,
)
from risk_engine.domain.staff import ENGINE
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import alert_deliveries, alerts, tables

RAISED = "risk.alert_raised.v1"
RESOLVED = "risk.alert_resolved.v1"
_EVENTS: Mapping[Act, str] = {Act.RAISED: RAISED, Act.REOPENED: RAISED, Act.RESOLVED: RESOLVED}

log = get_logger(__name__)


async def settle_alerts(
    deps: Deps, conn: AsyncConnection, signals: Iterable[Signal], watched: Collection[str], now: datetime
) -> list[str]:
    """Raise, count, reopen, escalate and resolve; returns the ids of alerts that were raised or reopened. `watched`
    are the kinds that this look could have seen."""
    await alerts.lock(conn)
    on_record = await alerts.tracked(conn, remembered_since(now))
    raised = []
    for change in changes_of(signals, watched, on_record, now):
        act, alert = await _carry_out(conn, change, now)
        if act is not None and alert is not None:
            await record_act(deps, conn, alert, act, ENGINE, None, now)
            if act in (Act.RAISED, Act.REOPENED):
                raised.append(alert["id"])
    return raised


async def _carry_out(
    conn: AsyncConnection, change: Change, now: datetime
) -> tuple[Act | None, dict[str, Any] | None]:
    """The act that a change is, and the alert after it; None where somebody was faster or nothing is to be told."""
    match change:
        case Raise(signal=signal):
            return Act.RAISED, await alerts.add(conn, signal, now)
        case SeenAgain(alert=alert, signal=signal):
            await alerts.see_again(conn, alert.id, signal, now)
            return None, None
        case Reopen(alert=alert, signal=signal):
            return Act.REOPENED, await alerts.reopen(conn, alert.id, signal, now)
        case Resolve(alert=alert):
            return Act.RESOLVED, await alerts.resolve(conn, alert.id, ENGINE, now)
        case Escalate(alert=alert, level=level):
            return Act.ESCALATED, await alerts.escalate(conn, alert.id, level)


async def record_act(
    deps: Deps,
    conn: AsyncConnection,
    alert: dict[str, Any],
    act: Act,
    actor: str,
    note: str | None,
    now: datetime,
) -> None:
    """Keep an act with its event, and make it due on the channels that want to hear of it."""
    act_id = await alerts.add_act(conn, alert, act, actor, note, now)
    if act in _EVENTS:
        event = Event(new_id("evt"), _EVENTS[act], alert["id"], {"alert": _told(alert, act, note)}, now)
        await outbox.append(conn, tables.outbox, [event])
    if act in TOLD:
        channels = [
            one.name
            for one in deps.channels
            if one.wants(alert["severity"], alert["level"]) and not _is_about(alert, one.name)
        ]
        await alert_deliveries.add(
            conn, act_id, alert["id"], channels, message_of(alert, act, actor, note, now)
        )
    metrics.alert_acts_total.labels(alert["kind"], act.value).inc()
    log.warning(
        "risk alert",
        alert_id=alert["id"],
        kind=alert["kind"],
        scope=alert["scope"],
        act=act.value,
        actor=actor,
    )


def _is_about(alert: dict[str, Any], channel: str) -> bool:
    """A channel that does not work is not told so."""
    return bool(alert["kind"] == "alert_undelivered" and alert["scope"] == channel)


def _told(alert: dict[str, Any], act: Act, note: str | None) -> dict[str, Any]:
    """The alert as its event tells it. `details` is what the first version of the contract promised, no more."""
    common = {name: alert[name] for name in ("id", "kind", "scope", "severity", "summary", "occurrences")}
    if act is Act.RESOLVED:
        return common | {
            "raised_at": alert["raised_at"],
            "resolved_at": alert["resolved_at"],
            "resolved_by": alert["resolved_by"],
            "note": note,
        }
    details = {name: alert["details"][name] for name in ("share", "baseline", "decisions")}
    return common | {
        "slot_at": alert["slot_at"],
        "details": details,
        "measures": alert["details"]["measures"],
    }
