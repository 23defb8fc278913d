"""Where a merchant wants to be told."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ, WRITE
from payment_gateway.api.schemas.webhooks import WebhookEndpointBody
from payment_gateway.operations.register_webhook_endpoint import (
    list_webhook_endpoints,
    register_webhook_endpoint,
)
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=StrictRoute)


@router.post("", status_code=201, responses=WRITE)
async def register(body: WebhookEndpointBody, caller: Merchant) -> Response:
    """Register an endpoint; its secret is shown this once."""
    return JsonResponse(await register_webhook_endpoint(caller.deps, caller.merchant_id, body.url), 201)


@router.get("", responses=READ)
async def list_all(caller: Merchant) -> Response:
    """The merchant's endpoints, without their secrets."""
    return JsonResponse({"data": await list_webhook_endpoints(caller.deps, caller.merchant_id)})
