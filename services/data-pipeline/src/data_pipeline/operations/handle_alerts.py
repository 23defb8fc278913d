"""Alerts of the risk engine: look, acknowledge, resolve. The name of who did it stands in the alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps

ALERTS: Final = "/v1/alerts"
ALERTS_SHOWN: Final = 50


async def list_alerts(deps: Deps, by: Operator, wanted: Mapping[str, str]) -> dict[str, Any]:
    """A page, newest first; `wanted` are the engine's own filters. Raises ServiceAway, ServiceRefused."""
    page: dict[str, Any] = await deps.risk.get(ALERTS, by, {**wanted, "limit": ALERTS_SHOWN})
    return page


async def show_alert(deps: Deps, by: Operator, alert_id: str) -> dict[str, Any]:
    """With what was done about it, and whom it was told to. Raises ServiceAway, ServiceRefused."""
    alert: dict[str, Any] = await deps.risk.get(f"{ALERTS}/{alert_id}", by)
    return alert


async def acknowledge_alert(deps: Deps, by: Operator, alert_id: str, note: str) -> None:
    """They look at it: it is told to nobody else. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{ALERTS}/{alert_id}/acknowledge", by, {"note": note} if note else {})


async def resolve_alert(deps: Deps, by: Operator, alert_id: str, note: str) -> None:
    """It is over, and why. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{ALERTS}/{alert_id}/resolve", by, {"note": note})
