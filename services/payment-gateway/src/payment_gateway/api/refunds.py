"""Refunds by themselves: a refund whose outcome is being found out (202) is asked for here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ
from payment_gateway.api.lists import CreatedFrom, CreatedTo
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.objects import refund_object
from payment_gateway.domain.refund import RefundStatus
from payment_gateway.operations.find_payments import get_refund, list_refunds
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/refunds", tags=["payments"], route_class=VersionedRoute)


@router.get("", responses=READ | answer("RefundPage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^rf_[0-9a-z]{26}$")] = None,
    payment_id: Annotated[str | None, Query(max_length=64, pattern=r"^pay_[0-9a-z]{26}$")] = None,
    status: RefundStatus | None = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response:
    """Refunds of all payments, newest first; `next_cursor` continues."""
    window = Window(limit, before=cursor, created_from=created_from, created_to=created_to)
    page = await list_refunds(caller.deps, caller.merchant_id, window, payment_id, status)
    return JsonResponse({"data": [refund_object(r) for r in page.items], "next_cursor": page.next_before})


@router.get("/{refund_id}", responses=READ | answer("Refund"))
async def get(refund_id: str, caller: Merchant) -> Response:
    """One refund."""
    return JsonResponse(refund_object(await get_refund(caller.deps, caller.merchant_id, refund_id)))
