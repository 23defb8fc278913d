"""Alerts, newest first."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.contract import answer
from risk_engine.api.authentication import require_reader
from risk_engine.operations.raise_alerts import list_alerts

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], dependencies=[Depends(require_reader)])


@router.get("", responses=answer("AlertList"))
async def get_alerts(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """What the engine warned about."""
    return JsonResponse({"data": await list_alerts(request.app.state.deps, limit)})
