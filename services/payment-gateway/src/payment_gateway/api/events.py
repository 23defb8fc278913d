"""A merchant's events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ
from payment_gateway.operations.find_events import list_events
from platform_kit.app import JsonResponse

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.get("", responses=READ)
async def list_all(
    caller: Merchant,
    after: Annotated[str | None, Query(max_length=64, pattern=r"^evt_[0-9a-z]{26}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Events in the order in which they became facts; `after` is the id of the last one that you have."""
    page = await list_events(caller.deps, caller.merchant_id, after, limit)
    return JsonResponse({"data": list(page.events), "next_after": page.next_after})
