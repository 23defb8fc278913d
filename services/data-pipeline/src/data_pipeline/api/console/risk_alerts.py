"""Alerts of the risk engine: what it warned about, who looks at it, and that it is over."""

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
from data_pipeline.operations.handle_alerts import acknowledge_alert, list_alerts, resolve_alert, show_alert

ALERTS: Final = "/console/risk/alerts"
STATUSES: Final = ("firing", "acknowledged", "resolved")
SEVERITIES: Final = ("info", "warning", "critical")

router = APIRouter(prefix=ALERTS, include_in_schema=False, route_class=ConsoleRoute)
REVIEWS: Final = [Depends(may(Permission.REVIEW))]
AlertId = Annotated[str, Path(pattern=r"^alr_[0-9a-hjkmnp-tv-z]{26}$")]


@router.get("")
async def show_alerts_page(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Does something want a person?"""
    asked = request.query_params
    words = {"status": STATUSES, "severity": SEVERITIES}
    chosen = {name: asked[name] for name, known in words.items() if asked.get(name) in known}
    cursor = {"cursor": asked["cursor"]} if asked.get("cursor") else {}
    found: dict[str, Any] = {"data": [], "next_cursor": None}
    is_away, refused = False, None
    try:
        found = await list_alerts(deps, by, chosen | cursor)
    except ServiceAway:
        is_away = True
    except ServiceRefused as error:
        refused = error
    older = urlencode({**chosen, "cursor": found["next_cursor"]}) if found["next_cursor"] else ""
    return page(
        request,
        "risk_alerts.html",
        status=refused.status if refused else 200,
        is_away=is_away,
        refused=refused,
        alerts=found["data"],
        chosen=chosen,
        statuses=STATUSES,
        severities=SEVERITIES,
        older=f"{ALERTS}?{older}" if older else None,
        first=f"{ALERTS}?{urlencode(chosen)}" if cursor else None,
    )


@router.get("/{alert_id}")
async def show_alert_page(request: Request, alert_id: AlertId, deps: Deps = Depends(deps_of)) -> Response:
    """What was seen, what was done about it, and whom it was told to."""
    return await _alert(request, deps, alert_id)


@router.post("/{alert_id}/acknowledge", dependencies=REVIEWS)
async def acknowledge(
    request: Request, alert_id: AlertId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Look at it, so that nobody else is told."""
    try:
        await acknowledge_alert(deps, by, alert_id, form.get("note", ""))
    except ServiceRefused as refused:
        return await _alert(request, deps, alert_id, refused)
    return RedirectResponse(f"{ALERTS}/{alert_id}", 303)


@router.post("/{alert_id}/resolve", dependencies=REVIEWS)
async def resolve(
    request: Request, alert_id: AlertId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Say that it is over, and why."""
    try:
        await resolve_alert(deps, by, alert_id, form.get("note", ""))
    except ServiceRefused as refused:
        return await _alert(request, deps, alert_id, refused)
    return RedirectResponse(f"{ALERTS}/{alert_id}", 303)


async def _alert(
    request: Request, deps: Deps, alert_id: str, refused: ServiceRefused | None = None
) -> Response:
    by = operator_of(request)
    return page(
        request,
        "risk_alert.html",
        status=refused.status if refused else 200,
        alert=await show_alert(deps, by, alert_id),
        refused=refused,
        may_review=by.may(Permission.REVIEW),
    )
