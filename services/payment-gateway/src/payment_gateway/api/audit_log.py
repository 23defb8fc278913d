"""Who administered what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Merchant, require_admin
from payment_gateway.api.documented import READ
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.find_audit_log import AuditPage, list_audit_log, list_own_audit_log
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1", tags=["audit"], route_class=VersionedRoute)

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^aud_[0-9a-z]{26}$")]
Action = Annotated[str | None, Query(max_length=60, pattern=r"^[a-z_]+\.[a-z_]+$")]
MerchantId = Annotated[str | None, Query(max_length=64, pattern=r"^mer_[0-9a-z]{26}$")]


@router.get("/audit-log", responses=READ | answer("AuditPage"))
async def own(caller: Merchant, limit: Limit = 50, cursor: Cursor = None, action: Action = None) -> Response:
    """Administrative acts on this merchant, by its keys or the administrator, newest first."""
    page = await list_own_audit_log(
        caller.deps, caller.merchant_id, before=cursor, action=action, limit=limit
    )
    return _respond(page)


@router.get("/admin/audit-log", responses=READ | answer("AuditPage"), dependencies=[Depends(require_admin)])
async def across(
    deps: GatewayDeps,
    limit: Limit = 50,
    cursor: Cursor = None,
    action: Action = None,
    merchant_id: MerchantId = None,
) -> Response:
    """Administrative acts on all merchants, or on one, newest first."""
    page = await list_audit_log(deps, merchant_id=merchant_id, before=cursor, action=action, limit=limit)
    return _respond(page)


def _respond(page: AuditPage) -> Response:
    return JsonResponse({"data": list(page.entries), "next_cursor": page.next_before})
