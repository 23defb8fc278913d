"""Alerts: list, read, acknowledge, resolve."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from platform_kit.ids import is_id
from platform_kit.problems import InvalidRequest
from risk_engine.api.authentication import Analyst, require_reader
from risk_engine.api.schemas.alerts import Acknowledgement, Resolution
from risk_engine.domain.alert_kinds import Severity
from risk_engine.domain.alerts import Status
from risk_engine.operations.find_alerts import find_alert, find_alerts
from risk_engine.operations.handle_alert import acknowledge_alert, resolve_alert

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=StrictRoute)
Reader = Depends(require_reader)
Word = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")]


@router.get("", responses=answer("AlertPage"), dependencies=[Reader])
async def get_alerts(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    status: Status | None = None,
    severity: Severity | None = None,
    kind: Word = None,
    scope: Word = None,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^alr_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """What the engine warned about, newest first; `next_cursor` leads to older ones."""
    if cursor is not None and not is_id("alr", cursor):
        raise InvalidRequest("Send the `next_cursor` of the page before.")
    deps = request.app.state.deps
    return JsonResponse(
        await find_alerts(deps, cursor, limit, status=status, severity=severity, kind=kind, scope=scope)
    )


@router.get("/{alert_id}", responses=answer("AlertRecord"), dependencies=[Reader])
async def get_alert(alert_id: str, request: Request) -> Response:
    """One alert with what was done about it, and whom it was told to."""
    return JsonResponse(await find_alert(request.app.state.deps, alert_id))


@router.post(
    "/{alert_id}/acknowledge",
    responses=answer("Alert")
    | problems({409: "alert-is-taken: by somebody else; alert-is-over: nothing is left to acknowledge"}),
)
async def acknowledge(
    alert_id: str, request: Request, actor: Analyst, body: Acknowledgement | None = None
) -> Response:
    """You look at it: it is told to nobody else. Again by you: the same answer."""
    note = body.note if body else None
    return JsonResponse(await acknowledge_alert(request.app.state.deps, alert_id, actor, note))


@router.post(
    "/{alert_id}/resolve",
    responses=answer("Alert") | problems({409: "alert-is-over: it was resolved before"}),
)
async def resolve(alert_id: str, body: Resolution, request: Request, actor: Analyst) -> Response:
    """It is over, and why. For the cooldown of its kind the same trouble raises no new alert."""
    return JsonResponse(await resolve_alert(request.app.state.deps, alert_id, actor, body.note))
