"""Channels that alerts are told to: which there are, and whether they work."""

from fastapi import APIRouter, Depends, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import Lead, require_reader
from risk_engine.operations.find_alerts import find_delivery, list_channels
from risk_engine.operations.handle_alert import try_channel

router = APIRouter(prefix="/v1", tags=["alerts"], route_class=StrictRoute)
Reader = Depends(require_reader)


@router.get("/alert-channels", responses=answer("AlertChannelList"), dependencies=[Reader])
async def get_channels(request: Request) -> Response:
    """The channels of the settings, without their addresses."""
    return JsonResponse({"data": list_channels(request.app.state.deps)})


@router.post("/alert-channels/{channel}/trial", status_code=202, responses=answer("AlertDelivery", 202))
async def try_out(channel: str, request: Request, actor: Lead) -> Response:
    """Send a trial message the way that alerts go; poll the delivery for what came of it."""
    return JsonResponse(await try_channel(request.app.state.deps, channel, actor), 202)


@router.get("/alert-deliveries/{delivery_id}", responses=answer("AlertDelivery"), dependencies=[Reader])
async def get_delivery(delivery_id: str, request: Request) -> Response:
    """What came of telling one channel."""
    return JsonResponse(await find_delivery(request.app.state.deps, delivery_id))
