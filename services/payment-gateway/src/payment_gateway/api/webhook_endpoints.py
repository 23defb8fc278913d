"""Where a merchant wants to be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ, WRITE
from payment_gateway.api.schemas.webhooks import (
    RotateSecretBody,
    WebhookEndpointBody,
    WebhookEndpointChanges,
)
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.manage_webhook_endpoints import (
    delete_webhook_endpoint,
    get_webhook_endpoint,
    list_webhook_endpoints,
    register_webhook_endpoint,
    rotate_webhook_secret,
    update_webhook_endpoint,
)
from payment_gateway.operations.ping_webhook_endpoint import ping_webhook_endpoint
from platform_kit.app import JsonResponse
from platform_kit.contract import Responses, answer, problems

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=VersionedRoute)

CURSOR: Final = r"^we_[0-9a-z]{26}$"

CONFLICT: Responses = problems(
    {409: "webhook-endpoint-disabled, too-many-webhook-secrets, idempotency-in-progress: nothing was done"}
)


@router.post("", status_code=201, responses=WRITE | answer("NewWebhookEndpoint", 201))
async def register(body: WebhookEndpointBody, caller: Merchant) -> Response:
    """Register an endpoint; its secret is shown this once."""
    made = await register_webhook_endpoint(
        caller.deps,
        caller.merchant_id,
        body.url,
        event_types=body.event_types,
        description=body.description,
        metadata=body.metadata,
        by=caller.actor,
    )
    return JsonResponse(made, 201)


@router.get("", responses=READ | answer("WebhookEndpointPage"))
async def list_all(
    caller: Merchant,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
    after: Annotated[str | None, Query(pattern=CURSOR, deprecated=True, description="as `cursor`")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Response:
    """The merchant's endpoints, oldest first, without their secrets; `next_cursor` continues."""
    page = await list_webhook_endpoints(caller.deps, caller.merchant_id, after=cursor or after, limit=limit)
    return JsonResponse(
        {"data": list(page.endpoints), "next_cursor": page.next_after, "next_after": page.next_after}
    )


@router.get("/{endpoint_id}", responses=READ | answer("WebhookEndpoint"))
async def get(endpoint_id: str, caller: Merchant) -> Response:
    """One endpoint, without its secret."""
    return JsonResponse(await get_webhook_endpoint(caller.deps, caller.merchant_id, endpoint_id))


@router.get("/{endpoint_id}/public-keys", responses=READ | answer("PublicKeyList"))
async def public_keys(endpoint_id: str, caller: Merchant) -> Response:
    """The ed25519 keys whose v1a signatures are good now, the newest first."""
    endpoint = await get_webhook_endpoint(caller.deps, caller.merchant_id, endpoint_id)
    return JsonResponse({"data": endpoint["public_keys"]})


@router.patch("/{endpoint_id}", responses=WRITE | answer("WebhookEndpoint"))
async def update(endpoint_id: str, body: WebhookEndpointChanges, caller: Merchant) -> Response:
    """Change what is named. Disabling gives up what is due; enabling forgets old failures."""
    changes = body.model_dump(exclude_unset=True)
    changed = await update_webhook_endpoint(
        caller.deps, caller.merchant_id, endpoint_id, changes, caller.actor
    )
    return JsonResponse(changed)


@router.delete("/{endpoint_id}", status_code=204, responses=READ)
async def delete(endpoint_id: str, caller: Merchant) -> Response:
    """Nothing is sent there any more; its deliveries stay readable."""
    await delete_webhook_endpoint(caller.deps, caller.merchant_id, endpoint_id, caller.actor)
    return Response(status_code=204)


@router.post("/{endpoint_id}/rotate-secret", responses=WRITE | CONFLICT | answer("NewWebhookEndpoint", 200))
async def rotate(endpoint_id: str, caller: Merchant, body: RotateSecretBody | None = None) -> Response:
    """A new secret, shown this once; the old one signs too until the overlap is over."""
    overlap = timedelta(seconds=(body or RotateSecretBody()).overlap_s)
    made = await rotate_webhook_secret(caller.deps, caller.merchant_id, endpoint_id, overlap, caller.actor)
    return JsonResponse(made)


@router.post("/{endpoint_id}/test", status_code=202, responses=WRITE | CONFLICT | answer("WebhookPing", 202))
async def test(endpoint_id: str, caller: Merchant) -> Response:
    """Send `webhook_endpoint.ping.v1` to this endpoint alone."""
    return JsonResponse(await ping_webhook_endpoint(caller.deps, caller.merchant_id, endpoint_id), 202)
