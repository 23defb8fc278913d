"""What was sent to a merchant's endpoints, and sending it again."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import KEYED, READ, WRITE
from payment_gateway.api.payments import respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.webhooks import EVENT_ID_PATTERN, ReplayBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.api.webhook_endpoints import CONFLICT
from payment_gateway.operations.find_webhook_deliveries import get_webhook_delivery, list_webhook_deliveries
from payment_gateway.operations.replay_webhooks import ReplayWebhooks, replay_webhooks
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/webhook-deliveries", tags=["webhooks"], route_class=VersionedRoute)

CURSOR: Final = r"^dlv_[0-9a-z]{26}$"


@router.get("", responses=READ | answer("WebhookDeliveryPage"))
async def list_all(
    caller: Merchant,
    endpoint_id: Annotated[str | None, Query(max_length=64, pattern=r"^we_[0-9a-z]{26}$")] = None,
    event_id: Annotated[str | None, Query(max_length=64, pattern=EVENT_ID_PATTERN)] = None,
    status: Literal["due", "delivered", "dead"] | None = None,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
    before: Annotated[str | None, Query(pattern=CURSOR, deprecated=True, description="as `cursor`")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Deliveries of an endpoint or of an event, newest first, each with its last attempts; `next_cursor` continues."""
    page = await list_webhook_deliveries(
        caller.deps,
        caller.merchant_id,
        endpoint_id=endpoint_id,
        event_id=event_id,
        status=status,
        before=cursor or before,
        limit=limit,
    )
    return JsonResponse(
        {"data": list(page.deliveries), "next_cursor": page.next_before, "next_before": page.next_before}
    )


@router.get("/{delivery_id}", responses=READ | answer("WebhookDelivery"))
async def get(delivery_id: str, caller: Merchant) -> Response:
    """One delivery with its last attempts."""
    return JsonResponse(await get_webhook_delivery(caller.deps, caller.merchant_id, delivery_id))


@router.post(
    "/replay", status_code=202, responses=WRITE | CONFLICT | answer("WebhookReplay", 202), openapi_extra=KEYED
)
async def replay(body: ReplayBody, request: Request, caller: Merchant) -> Response:
    """Send events again, under their own ids: one, those of an endpoint, or those of a time; 500 a request."""
    command = ReplayWebhooks(
        merchant_id=caller.merchant_id,
        key=await request_key(request),
        event_id=body.event_id,
        endpoint_id=body.endpoint_id,
        since=body.occurred_from,
        until=body.occurred_to,
        after=body.after,
        undelivered_only=body.undelivered_only,
    )
    return respond(await replay_webhooks(caller.deps, command))
