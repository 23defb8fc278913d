"""Merchants, administered."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Depends
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, require_admin
from payment_gateway.api.documented import WRITE
from payment_gateway.api.schemas.merchants import MerchantBody
from payment_gateway.operations.manage_merchants import create_merchant
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer

router = APIRouter(
    prefix="/v1/merchants",
    tags=["administration"],
    route_class=StrictRoute,
    dependencies=[Depends(require_admin)],
)


@router.post("", status_code=201, responses=WRITE | answer("NewMerchant", 201))
async def create(body: MerchantBody, deps: GatewayDeps) -> Response:
    """A merchant and its first API key, which is shown this once."""
    return JsonResponse(asdict(await create_merchant(deps, body.name, body.country)), 201)
