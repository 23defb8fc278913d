"""Webhooks of all merchants through the gateway's API: how endpoints do, what was tried, and sending again."""

from __future__ import annotations

from typing import Any, Final

from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from platform_kit.ids import new_id

ENDPOINTS: Final = "/internal/webhook-endpoints"
DELIVERIES: Final = "/internal/webhook-deliveries"
DELIVERIES_SHOWN: Final = 50
PAGES_MAX: Final = 20  # of 500 events: what takes longer than a request is asked for once more


async def list_endpoints(deps: Deps, by: Operator, merchant: str, after: str) -> dict[str, Any]:
    """A page of endpoints, oldest first. Raises ServiceAway, ServiceRefused."""
    asked = {name: value for name, value in (("merchant_id", merchant), ("after", after)) if value}
    page: dict[str, Any] = await deps.gateway.get(ENDPOINTS, by, asked)
    return page


async def show_endpoint(
    deps: Deps, by: Operator, endpoint_id: str, status: str, before: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An endpoint, and a page of its deliveries, newest first. Raises ServiceAway, ServiceRefused."""
    endpoint = await deps.gateway.get(f"{ENDPOINTS}/{endpoint_id}", by)
    asked: dict[str, str | int] = {"endpoint_id": endpoint_id, "limit": DELIVERIES_SHOWN}
    asked |= {name: value for name, value in (("status", status), ("before", before)) if value}
    return endpoint, await deps.gateway.get(DELIVERIES, by, asked)


async def replay_deliveries(
    deps: Deps, by: Operator, endpoint_id: str, *, event_id: str = "", after: str = "", key: str = ""
) -> tuple[int, str | None]:
    """Send one event to an endpoint again, or, without one, what it has not got since it exists (`after` an event).

    Returns how many are due now, and the event to go on after when PAGES_MAX requests were not enough. `key` makes a
    form that is sent twice count once. Raises ServiceAway, ServiceRefused.
    """
    if event_id:
        body: dict[str, Any] = {"event_id": event_id, "undelivered_only": False}
    else:
        endpoint = await deps.gateway.get(f"{ENDPOINTS}/{endpoint_id}", by)
        body = {
            "endpoint_id": endpoint_id,
            "undelivered_only": True,
            "occurred_from": endpoint["created_at"],
        }
        body |= {"after": after} if after else {}
    made = 0
    for number in range(PAGES_MAX):
        told = await deps.gateway.act(
            f"{DELIVERIES}/replay?endpoint_id={endpoint_id}", by, body, key=f"{key or new_id('req')}-{number}"
        )
        made += int(told["deliveries"])
        if not told["has_more"]:
            return made, None
        body["after"] = told["next_after"]
    return made, str(body["after"])
