"""A merchant about itself."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ, WRITE
from payment_gateway.api.schemas.merchants import OwnMerchantChanges
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.administer_merchants import get_own_merchant, update_merchant
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/merchant", tags=["merchant"], route_class=VersionedRoute)


@router.get("", responses=READ | answer("Merchant"))
async def get(caller: Merchant) -> Response:
    """Who the key belongs to, and the API version that it is pinned to."""
    return JsonResponse(await get_own_merchant(caller.deps, caller.merchant_id))


@router.patch("", responses=WRITE | answer("Merchant"))
async def update(body: OwnMerchantChanges, caller: Merchant) -> Response:
    """Pin another API version: within a second it holds for requests that name none, and for webhooks."""
    changes = body.model_dump(exclude_unset=True)
    return JsonResponse(await update_merchant(caller.deps, caller.merchant_id, changes, caller.actor))
