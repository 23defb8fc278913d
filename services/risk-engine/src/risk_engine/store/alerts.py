"""Alerts, the acts on them, and events that could not be applied."""

# ruff: noqa: S608 - the names in the statements are our own columns, never input

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat, isoformat_or_none
from platform_kit.ids import new_id
from platform_kit.outbox import Event
from risk_engine.domain.alert_kinds import Severity
from risk_engine.domain.alerts import Act, Signal, Status, Tracked
from risk_engine.domain.staff import ENGINE, actor_shown

ID_MAX = "alr_~"  # after every id

# One look at a time: whoever comes second waits and then sees what the first one did.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('risk.alert'))")

# The newest of each fingerprint among the open ones (alert_open_idx) and those resolved lately (alert_status_id_idx).
TRACKED = text("""
    SELECT DISTINCT ON (kind, scope) id, kind, scope, severity, status, level, firing_since, last_seen_at, resolved_at,
           resolved_by
    FROM risk.alert WHERE status <> 'resolved' OR resolved_at > :since
    ORDER BY kind, scope, id DESC
""")

_COLUMNS = """id, kind, scope, severity, status, summary, details, level, occurrences, raised_at, firing_since,
              last_seen_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by"""

RAISE = text(f"""
    INSERT INTO risk.alert (id, kind, scope, severity, status, summary, details, slot_at, raised_at, firing_since,
                            last_seen_at)
    VALUES (:id, :kind, :scope, :severity, 'firing', :summary, CAST(:details AS jsonb), clock_timestamp(), :now, :now,
            :now)
    RETURNING {_COLUMNS}
""").columns(details=JSONB)

SEEN_AGAIN = text("""
    UPDATE risk.alert SET occurrences = occurrences + 1, last_seen_at = :now, summary = :summary,
                          details = CAST(:details AS jsonb)
    WHERE id = :id AND status <> 'resolved'
""")

REOPEN = text(f"""
    UPDATE risk.alert SET status = 'firing', level = 0, occurrences = occurrences + 1, firing_since = :now,
                          last_seen_at = :now, summary = :summary, details = CAST(:details AS jsonb),
                          acknowledged_at = NULL, acknowledged_by = NULL, resolved_at = NULL, resolved_by = NULL
    WHERE id = :id AND status = 'resolved' RETURNING {_COLUMNS}
""").columns(details=JSONB)

ESCALATE = text(f"""
    UPDATE risk.alert SET level = :level WHERE id = :id AND status = 'firing' AND level < :level RETURNING {_COLUMNS}
""").columns(details=JSONB)

ACKNOWLEDGE = text(f"""
    UPDATE risk.alert SET status = 'acknowledged', acknowledged_at = :now, acknowledged_by = :actor
    WHERE id = :id AND status = 'firing' RETURNING {_COLUMNS}
""").columns(details=JSONB)

RESOLVE = text(f"""
    UPDATE risk.alert SET status = 'resolved', resolved_at = :now, resolved_by = :actor
    WHERE id = :id AND status <> 'resolved' RETURNING {_COLUMNS}
""").columns(details=JSONB)

ADD_ACT = text("""
    INSERT INTO risk.alert_act (id, alert_id, act, actor, note, level, at)
    VALUES (:id, :alert_id, :act, :actor, :note, :level, :at)
""")

# By alert_act_alert_id_idx.
ACTS = text(
    "SELECT act, actor, note, level, at FROM risk.alert_act WHERE alert_id = :id ORDER BY id LIMIT 200"
)

FIND = text(f"SELECT {_COLUMNS} FROM risk.alert WHERE id = :id").columns(details=JSONB)

# By the primary key, or by alert_status_id_idx when a status is asked for; never an offset.
PAGE = f"SELECT {_COLUMNS} FROM risk.alert WHERE id < :before{{filters}} ORDER BY id DESC LIMIT :limit"
FILTERS = ("status", "severity", "kind", "scope")

FIRING = text(
    "SELECT kind, severity, count(*) AS number FROM risk.alert WHERE status <> 'resolved' GROUP BY 1, 2"
)

# Open alerts stay, however old.
PRUNE = text("DELETE FROM risk.alert WHERE raised_at < :before AND status = 'resolved'")

QUARANTINE = text("""
    INSERT INTO risk.quarantined_event (event_id, envelope, error) VALUES (:event_id, CAST(:envelope AS jsonb), :error)
    ON CONFLICT (event_id) DO NOTHING
""")


async def lock(conn: AsyncConnection) -> None:
    """Wait for other looks until the transaction ends."""
    await conn.execute(LOCK)


async def tracked(conn: AsyncConnection, resolved_since: datetime) -> list[Tracked]:
    """What a look compares with: open alerts, and those resolved since."""
    return [
        Tracked(
            id=row.id,
            kind=row.kind,
            scope=row.scope,
            severity=Severity(row.severity),
            status=Status(row.status),
            level=row.level,
            firing_since=row.firing_since,
            last_seen_at=row.last_seen_at,
            resolved_at=row.resolved_at,
            is_resolved_by_hand=actor_shown(row.resolved_by) not in (None, ENGINE),
        )
        for row in await conn.execute(TRACKED, {"since": resolved_since})
    ]


async def add(conn: AsyncConnection, signal: Signal, now: datetime) -> dict[str, Any]:
    """A new alert, firing."""
    values = {
        "id": new_id("alr"),
        "kind": signal.kind,
        "scope": signal.scope,
        "severity": signal.severity.value,
        **_seen(signal, now),
    }
    return _alert((await conn.execute(RAISE, values)).one())


async def see_again(conn: AsyncConnection, alert_id: str, signal: Signal, now: datetime) -> None:
    """Count an open alert once more."""
    await conn.execute(SEEN_AGAIN, {"id": alert_id, **_seen(signal, now)})


async def reopen(
    conn: AsyncConnection, alert_id: str, signal: Signal, now: datetime
) -> dict[str, Any] | None:
    """Firing again; None when it is open already."""
    return _maybe((await conn.execute(REOPEN, {"id": alert_id, **_seen(signal, now)})).first())


async def escalate(conn: AsyncConnection, alert_id: str, level: int) -> dict[str, Any] | None:
    """Up to a level; None when somebody acknowledged or resolved it meanwhile."""
    return _maybe((await conn.execute(ESCALATE, {"id": alert_id, "level": level})).first())


async def acknowledge(
    conn: AsyncConnection, alert_id: str, actor: str, now: datetime
) -> dict[str, Any] | None:
    """Somebody looks at it; None unless it is firing."""
    return _maybe((await conn.execute(ACKNOWLEDGE, {"id": alert_id, "actor": actor, "now": now})).first())


async def resolve(conn: AsyncConnection, alert_id: str, actor: str, now: datetime) -> dict[str, Any] | None:
    """Over; None when it was before."""
    return _maybe((await conn.execute(RESOLVE, {"id": alert_id, "actor": actor, "now": now})).first())


async def add_act(
    conn: AsyncConnection, alert: dict[str, Any], act: Act, actor: str, note: str | None, at: datetime
) -> str:
    """Keep what happened; returns the act's id."""
    act_id = new_id("act")
    values = {"id": act_id, "alert_id": alert["id"], "act": act.value, "actor": actor, "note": note}
    await conn.execute(ADD_ACT, values | {"level": alert["level"], "at": at})
    return act_id


async def find(conn: AsyncConnection, alert_id: str) -> dict[str, Any] | None:
    """One alert."""
    return _maybe((await conn.execute(FIND, {"id": alert_id})).first())


async def acts(conn: AsyncConnection, alert_id: str) -> list[dict[str, Any]]:
    """What happened to it, oldest first."""
    return [
        {
            "act": row.act,
            "actor": actor_shown(row.actor),
            "note": row.note,
            "level": row.level,
            "at": isoformat(row.at),
        }
        for row in await conn.execute(ACTS, {"id": alert_id})
    ]


async def page(
    conn: AsyncConnection, *, before: str | None, limit: int, **filters: str | None
) -> list[dict[str, Any]]:
    """The newest alerts with an id below `before`; `filters` are of FILTERS, None = any."""
    given = {name: filters[name] for name in FILTERS if filters.get(name) is not None}
    query = text(PAGE.format(filters="".join(f" AND {name} = :{name}" for name in given)))
    values = {"before": before or ID_MAX, "limit": limit, **given}
    return [_alert(row) for row in await conn.execute(query.columns(details=JSONB), values)]


async def firing(conn: AsyncConnection) -> dict[tuple[str, str], int]:
    """How many alerts are open, by kind and severity."""
    return {(row.kind, row.severity): row.number for row in await conn.execute(FIRING)}


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget resolved alerts raised before a time; returns how many. Their acts stay."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount


async def quarantine(conn: AsyncConnection, event: Event, error: Exception) -> None:
    """Keep an event that could not be applied, with what it raised."""
    values = {
        "event_id": event.id,
        "envelope": orjson.dumps(event.envelope()).decode(),
        "error": repr(error)[:1000],
    }
    await conn.execute(QUARANTINE, values)


def _seen(signal: Signal, now: datetime) -> dict[str, Any]:
    details = orjson.dumps(signal.as_details()).decode()
    return {"summary": signal.summary, "details": details, "now": now}


def _maybe(row: Any) -> dict[str, Any] | None:
    return None if row is None else _alert(row)


def _alert(row: Any) -> dict[str, Any]:
    """The alert object of the API, and of what channels are told."""
    return {
        "id": row.id,
        "object": "alert",
        "kind": row.kind,
        "scope": row.scope,
        "severity": row.severity,
        "status": row.status,
        "summary": row.summary,
        "details": row.details,
        "level": row.level,
        "occurrences": row.occurrences,
        "slot_at": isoformat(row.raised_at.replace(second=0, microsecond=0)),
        "raised_at": isoformat(row.raised_at),
        "last_seen_at": isoformat(row.last_seen_at),
        "acknowledged_at": isoformat_or_none(row.acknowledged_at),
        "acknowledged_by": row.acknowledged_by,
        "resolved_at": isoformat_or_none(row.resolved_at),
        "resolved_by": actor_shown(row.resolved_by),
    }
