"""Merchants, administered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from payment_gateway.api.access import Administrator, GatewayDeps, require_admin
from payment_gateway.api.documented import READ, WRITE
from payment_gateway.api.schemas.api_keys import ApiKeyBody
from payment_gateway.api.schemas.merchants import DisableMerchantBody, MerchantBody, MerchantChanges
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.administer_merchants import (
    disable_merchant,
    enable_merchant,
    get_merchant,
    get_terms,
    list_merchants,
    update_merchant,
)
from payment_gateway.operations.manage_api_keys import (
    MakeApiKey,
    list_api_keys,
    make_api_key,
    revoke_api_key,
)
from payment_gateway.operations.manage_merchants import create_merchant
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(
    prefix="/v1/merchants",
    tags=["administration"],
    route_class=VersionedRoute,
    dependencies=[Depends(require_admin)],
)


@router.post("", status_code=201, responses=WRITE | answer("NewMerchant", 201))
async def create(body: MerchantBody, deps: GatewayDeps, admin: Administrator) -> Response:
    """A merchant and its first API key, which is shown this once."""
    return JsonResponse(
        asdict(await create_merchant(deps, body.name, body.country, admin, mcc=body.mcc)), 201
    )


@router.get("", responses=READ | answer("MerchantPage"))
async def list_all(
    deps: GatewayDeps,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^mer_[0-9a-z]{26}$")] = None,
    disabled: bool | None = None,
) -> Response:
    """Merchants, newest first; `next_cursor` continues."""
    page = await list_merchants(deps, before=cursor, is_disabled=disabled, limit=limit)
    return JsonResponse({"data": list(page.merchants), "next_cursor": page.next_before})


@router.get("/{merchant_id}", responses=READ | answer("Merchant"))
async def get(merchant_id: str, deps: GatewayDeps) -> Response:
    """One merchant."""
    return JsonResponse(await get_merchant(deps, merchant_id))


@router.patch("/{merchant_id}", responses=WRITE | answer("Merchant"))
async def update(
    merchant_id: str, body: MerchantChanges, deps: GatewayDeps, admin: Administrator
) -> Response:
    """Change what is named."""
    changes = body.model_dump(exclude_unset=True)
    return JsonResponse(await update_merchant(deps, merchant_id, changes, admin))


@router.get("/{merchant_id}/terms", responses=READ | answer("Terms"))
async def show_terms(merchant_id: str, deps: GatewayDeps) -> Response:
    """How it is settled and paid out, and its fees."""
    found = await get_terms(deps, merchant_id)
    return JsonResponse({"merchant_id": merchant_id, **asdict(found)})


@router.post("/{merchant_id}/disable", responses=WRITE | answer("Merchant"))
async def disable(
    merchant_id: str, deps: GatewayDeps, admin: Administrator, body: DisableMerchantBody | None = None
) -> Response:
    """Within a second its keys get 403 `merchant-disabled`; what runs is finished, settled and told."""
    reason = body.reason if body else None
    return JsonResponse(await disable_merchant(deps, merchant_id, reason, admin))


@router.post("/{merchant_id}/enable", responses=WRITE | answer("Merchant"))
async def enable(merchant_id: str, deps: GatewayDeps, admin: Administrator) -> Response:
    """Its keys, those that were not revoked, work again."""
    return JsonResponse(await enable_merchant(deps, merchant_id, admin))


@router.post("/{merchant_id}/api-keys", status_code=201, responses=WRITE | answer("NewApiKey", 201))
async def make_key(merchant_id: str, body: ApiKeyBody, deps: GatewayDeps, admin: Administrator) -> Response:
    """A key for a merchant that has lost its own, shown this once; without scopes it may do everything."""
    await get_merchant(deps, merchant_id)
    command = MakeApiKey(
        merchant_id=merchant_id,
        maker_scopes=None,
        name=body.name,
        scopes=frozenset(body.scopes) if body.scopes is not None else None,
        expires_at=body.expires_at,
        by=admin,
    )
    return JsonResponse(await make_api_key(deps, command), 201)


@router.get("/{merchant_id}/api-keys", responses=READ | answer("ApiKeyList"))
async def list_keys(merchant_id: str, deps: GatewayDeps) -> Response:
    """A merchant's keys, the newest first, also those that have ended."""
    await get_merchant(deps, merchant_id)
    return JsonResponse({"data": await list_api_keys(deps, merchant_id)})


@router.post("/{merchant_id}/api-keys/{key_id}/revoke", responses=WRITE | answer("ApiKey"))
async def revoke_key(merchant_id: str, key_id: str, deps: GatewayDeps, admin: Administrator) -> Response:
    """End a merchant's key: within a second nobody believes it any more."""
    await get_merchant(deps, merchant_id)
    return JsonResponse(await revoke_api_key(deps, merchant_id, key_id, admin))
