"""Webhooks of all merchants: which endpoints do not answer, what was tried, and sending again."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Permission
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.oversee_webhooks import list_endpoints, replay_deliveries, show_endpoint
from platform_kit.ids import new_id

WEBHOOKS: Final = "/console/webhooks"
STATUSES: Final = ("due", "delivered", "dead")

router = APIRouter(prefix=WEBHOOKS, include_in_schema=False, route_class=ConsoleRoute)
EndpointId = Annotated[str, Path(pattern=r"^we_[0-9a-z]{26}$")]


@router.get("")
async def show_webhooks_page(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Is anything stuck, and whose is it?"""
    asked = request.query_params
    merchant = asked.get("merchant", "").strip()[:64]
    found: dict[str, Any] = {"data": [], "next_after": None}
    is_away, refused = False, None
    try:
        found = await list_endpoints(deps, by, merchant, asked.get("after", ""))
    except ServiceAway:
        is_away = True
    except ServiceRefused as error:
        refused = error
    chosen = {"merchant": merchant} if merchant else {}
    older = (
        f"{WEBHOOKS}?{urlencode({**chosen, 'after': found['next_after']})}" if found["next_after"] else None
    )
    return page(
        request,
        "webhooks.html",
        status=refused.status if refused else 200,
        is_away=is_away,
        refused=refused,
        merchant=merchant,
        endpoints=sorted(found["data"], key=_worst_first),
        older=older,
        first=f"{WEBHOOKS}?{urlencode(chosen)}" if asked.get("after") else None,
    )


@router.get("/{endpoint_id}")
async def show_endpoint_page(
    request: Request, endpoint_id: EndpointId, deps: Deps = Depends(deps_of)
) -> Response:
    """What was sent there, attempt by attempt."""
    return await _endpoint(request, deps, endpoint_id)


@router.post("/{endpoint_id}/replay", dependencies=[Depends(may(Permission.REPLAY))])
async def replay(
    request: Request, endpoint_id: EndpointId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Send one event again, or all that it has not got."""
    try:
        made, rest = await replay_deliveries(
            deps,
            by,
            endpoint_id,
            event_id=form.get("event_id", ""),
            after=form.get("after", ""),
            key=form.get("key", ""),
        )
    except ServiceRefused as refused:
        return await _endpoint(request, deps, endpoint_id, refused=refused)
    told = {"sent": made} | ({"rest": rest} if rest else {})
    return RedirectResponse(f"{WEBHOOKS}/{endpoint_id}?{urlencode(told)}", 303)


async def _endpoint(
    request: Request, deps: Deps, endpoint_id: str, *, refused: ServiceRefused | None = None
) -> Response:
    by, asked = operator_of(request), request.query_params
    status = asked.get("status", "")
    status = status if status in STATUSES else ""
    endpoint, found = await show_endpoint(deps, by, endpoint_id, status, asked.get("before", ""))
    path, chosen = f"{WEBHOOKS}/{endpoint_id}", {"status": status} if status else {}
    older = (
        f"{path}?{urlencode({**chosen, 'before': found['next_before']})}" if found["next_before"] else None
    )
    return page(
        request,
        "webhook_endpoint.html",
        status=refused.status if refused else 200,
        refused=refused,
        endpoint=endpoint,
        deliveries=found["data"],
        statuses=STATUSES,
        status_chosen=status,
        older=older,
        first=f"{path}?{urlencode(chosen)}" if asked.get("before") else None,
        sent=int(asked["sent"]) if asked.get("sent", "").isdecimal() else None,
        rest=asked.get("rest", "")[:64],
        key=new_id("req"),
        may_replay=by.may(Permission.REPLAY),
    )


def _worst_first(endpoint: dict[str, Any]) -> tuple[int, float, str]:
    """Disabled by us, then failing, then what waits, then the rest; within each the lowest success rate first."""
    given_up = not endpoint["enabled"] and endpoint["disabled_reason"] != "merchant"
    rank = 0 if given_up else 1 if endpoint["failing_since"] else 2 if endpoint["waiting"]["due"] else 3
    rate = endpoint["recent"]["success_rate"]
    return rank, 1.0 if rate is None else float(rate), str(endpoint["id"])
