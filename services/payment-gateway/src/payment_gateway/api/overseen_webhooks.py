"""Merchants' webhooks for the platform's operators, through the console: how they go, and sending again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Operator, require_internal
from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.documented import KEYED, READ, WRITE
from payment_gateway.api.payments import respond
from payment_gateway.api.schemas.webhooks import EVENT_ID_PATTERN, ReplayBody
from payment_gateway.api.webhook_endpoints import CONFLICT
from payment_gateway.operations.find_webhook_deliveries import list_webhook_deliveries
from payment_gateway.operations.oversee_webhooks import get_overseen_endpoint, list_overseen_endpoints
from payment_gateway.operations.replay_webhooks import ReplayWebhooks, replay_webhooks
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from platform_kit.idempotency import IdempotencyKey, fingerprint_of

router = APIRouter(prefix="/internal", tags=["internal"], route_class=StrictRoute)
BY_SERVICES = [Depends(require_internal)]
EndpointId = Annotated[str, Query(max_length=64, pattern=r"^we_[0-9a-z]{26}$")]


@router.get(
    "/webhook-endpoints", responses=READ | answer("OverseenWebhookEndpointPage"), dependencies=BY_SERVICES
)
async def list_endpoints(
    deps: GatewayDeps,
    merchant_id: Annotated[str | None, Query(max_length=64, pattern=r"^mer_[0-9a-z]{26}$")] = None,
    after: Annotated[str | None, Query(max_length=64, pattern=r"^we_[0-9a-z]{26}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Response:
    """Endpoints of all merchants, or of one, oldest first, each with how its deliveries go."""
    return JsonResponse(
        await list_overseen_endpoints(deps, merchant_id=merchant_id, after=after, limit=limit)
    )


@router.get(
    "/webhook-endpoints/{endpoint_id}",
    responses=READ | answer("OverseenWebhookEndpoint"),
    dependencies=BY_SERVICES,
)
async def get_endpoint(endpoint_id: str, deps: GatewayDeps) -> Response:
    """One endpoint, whosever it is, with how its deliveries go."""
    return JsonResponse(await get_overseen_endpoint(deps, endpoint_id))


@router.get("/webhook-deliveries", responses=READ | answer("WebhookDeliveryPage"), dependencies=BY_SERVICES)
async def list_deliveries(
    deps: GatewayDeps,
    endpoint_id: EndpointId,
    event_id: Annotated[str | None, Query(max_length=64, pattern=EVENT_ID_PATTERN)] = None,
    status: Literal["due", "delivered", "dead"] | None = None,
    before: Annotated[str | None, Query(max_length=64, pattern=r"^dlv_[0-9a-z]{26}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Deliveries of an endpoint, newest first, each with its last attempts."""
    owner = (await get_overseen_endpoint(deps, endpoint_id))["merchant_id"]
    page = await list_webhook_deliveries(
        deps, owner, endpoint_id=endpoint_id, event_id=event_id, status=status, before=before, limit=limit
    )
    return JsonResponse(
        {"data": list(page.deliveries), "next_cursor": page.next_before, "next_before": page.next_before}
    )


@router.post(
    "/webhook-deliveries/replay",
    status_code=202,
    responses=WRITE | CONFLICT | answer("WebhookReplay", 202),
    openapi_extra=KEYED,
)
async def replay(
    body: ReplayBody, endpoint_id: EndpointId, request: Request, deps: GatewayDeps, by: Operator
) -> Response:
    """Send events to an endpoint again, as its merchant could; who did it stands in the merchant's audit log."""
    owner = (await get_overseen_endpoint(deps, endpoint_id))["merchant_id"]
    command = ReplayWebhooks(
        merchant_id=owner,
        key=IdempotencyKey(idempotency_key_of(request), fingerprint_of(endpoint_id, await request.body())),
        event_id=body.event_id,
        endpoint_id=endpoint_id,
        since=body.occurred_from,
        until=body.occurred_to,
        after=body.after,
        undelivered_only=body.undelivered_only,
        by=by,
    )
    return respond(await replay_webhooks(deps, command))
