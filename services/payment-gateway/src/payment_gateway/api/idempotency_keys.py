"""A merchant's own idempotency keys."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import MONEY
from payment_gateway.api.schemas.idempotency_keys import CancelKeyBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.cancel_key import CancelKey, cancel_key
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/idempotency-keys", tags=["idempotency"], route_class=VersionedRoute)


@router.post("/cancel", responses=MONEY | answer("IdempotencyKey", 200, 202))
async def cancel(body: CancelKeyBody, caller: Merchant) -> Response:
    """Close a key whose answer was lost. It is its own key: repeat it as often as you like.

    `cancelled`: nothing was taken, and nothing ever will be under this key. `finished`: it did what is shown. `open`
    (202): not known yet, cancel it again.
    """
    shown = await cancel_key(caller.deps, CancelKey(caller.merchant_id, body.key, body.route))
    return JsonResponse(shown, 202 if shown["status"] == "open" else 200)
