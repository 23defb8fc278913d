"""Read alerts, their acts and deliveries back."""

from typing import Any

from platform_kit.problems import NotFound
from risk_engine.operations.deps import Deps
from risk_engine.store import alert_deliveries, alerts


async def find_alerts(deps: Deps, cursor: str | None, limit: int, **filters: str | None) -> dict[str, Any]:
    """A page of the newest, and the cursor of the next one; `filters` are of `alerts.FILTERS`, None = any."""
    async with deps.engine.connect() as conn:
        rows = await alerts.page(conn, before=cursor, limit=limit + 1, **filters)
    is_last = len(rows) <= limit
    return {"data": rows[:limit], "next_cursor": None if is_last else rows[limit - 1]["id"]}


async def find_alert(deps: Deps, alert_id: str) -> dict[str, Any]:
    """One alert with what was done about it and whom it was told to. Raises NotFound."""
    async with deps.engine.connect() as conn:
        alert = await alerts.find(conn, alert_id)
        if alert is None:
            raise NotFound("No alert has this id.")
        acts = await alerts.acts(conn, alert_id)
        deliveries = await alert_deliveries.of_alert(conn, alert_id)
    return alert | {"acts": acts, "deliveries": deliveries}


async def find_delivery(deps: Deps, delivery_id: str) -> dict[str, Any]:
    """One delivery, as it stands. Raises NotFound."""
    async with deps.engine.connect() as conn:
        delivery = await alert_deliveries.find(conn, delivery_id)
    if delivery is None:
        raise NotFound("No delivery has this id.")
    return delivery


def list_channels(deps: Deps) -> list[dict[str, Any]]:
    """The channels without their addresses: those hold passwords."""
    return [
        {
            "name": one.name,
            "object": "alert_channel",
            "kind": one.kind,
            "severities": [severity.value for severity in one.severities],
            "level": one.level,
        }
        for one in deps.channels
    ]
