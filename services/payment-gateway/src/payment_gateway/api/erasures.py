"""Erasures: a merchant asks that somebody be forgotten, the administrator attaches the proof."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Administrator, GatewayDeps, Merchant
from payment_gateway.api.documented import KEYED, READ, VAULT, WRITE
from payment_gateway.api.payments import respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.erasures import ErasureBody, ReportBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.erasure import erasure_object
from payment_gateway.operations.report_erasure import attach_report, find_sought, list_all_erasures
from payment_gateway.operations.request_erasure import (
    RequestErasure,
    get_erasure,
    list_erasures,
    request_erasure,
)
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer, problems

router = APIRouter(prefix="/v1/erasures", tags=["customers"], route_class=VersionedRoute)
proofs = APIRouter(prefix="/v1/admin/erasures", tags=["administration"], route_class=VersionedRoute)

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^ers_[0-9a-z]{26}$")]
NOT_YET = problems({409: "not-erased-yet: its keys are still there"})


@router.post("", status_code=201, responses=VAULT | answer("Erasure", 201), openapi_extra=KEYED)
async def request(body: ErasureBody, request: Request, caller: Merchant) -> Response:
    """Forget somebody: their key is destroyed within minutes, and all that was sealed under it is unreadable. What must
    stay (amounts, the ledger, decisions) knows them by token. An open dispute blocks it until it is over."""
    command = RequestErasure(
        merchant_id=caller.merchant_id,
        key=await request_key(request),
        by=caller.actor,
        customer_id=body.customer_id,
        customer=body.customer,
        email=body.email,
        payment_id=body.payment_id,
    )
    return respond(await request_erasure(caller.deps, command))


@router.get("/{erasure_id}", responses=READ | answer("Erasure"))
async def get(erasure_id: str, caller: Merchant) -> Response:
    """One erasure, with the report of the scan once there is one."""
    return JsonResponse(erasure_object(await get_erasure(caller.deps, caller.merchant_id, erasure_id)))


@router.get("", responses=READ | answer("ErasurePage"))
async def list_all(caller: Merchant, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Erasures, newest first; `next_cursor` continues."""
    page = await list_erasures(caller.deps, caller.merchant_id, Window(limit, before=cursor))
    shown = [erasure_object(erasure) for erasure in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@proofs.get("", responses=READ | answer("ErasurePage"))
async def list_of_all(
    deps: GatewayDeps, by: Administrator, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """Erasures of all merchants, newest first."""
    page = await list_all_erasures(deps, before=cursor, limit=limit)
    shown = [erasure_object(erasure) for erasure in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@proofs.get("/{erasure_id}", responses=READ | NOT_YET | answer("ErasureToProve"))
async def to_prove(erasure_id: str, deps: GatewayDeps, by: Administrator) -> Response:
    """One erasure with what a scan must not find; that it was asked for is in the audit log."""
    return JsonResponse(await find_sought(deps, erasure_id, by))


@proofs.post("/{erasure_id}/report", responses=WRITE | NOT_YET | answer("Erasure"))
async def report(erasure_id: str, body: ReportBody, deps: GatewayDeps, by: Administrator) -> Response:
    """Attach what a scan found. After a clean one, what was looked for is forgotten, too."""
    reported = await attach_report(deps, erasure_id, body.model_dump(), by)
    return JsonResponse(erasure_object(reported))
