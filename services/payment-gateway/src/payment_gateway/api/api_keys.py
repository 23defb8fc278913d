"""A merchant's own API keys."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ, WRITE
from payment_gateway.api.schemas.api_keys import ApiKeyBody, RotateKeyBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.manage_api_keys import (
    MakeApiKey,
    list_api_keys,
    make_api_key,
    revoke_api_key,
    rotate_api_key,
)
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/api-keys", tags=["keys"], route_class=VersionedRoute)


@router.post("", status_code=201, responses=WRITE | answer("NewApiKey", 201))
async def make(body: ApiKeyBody, caller: Merchant) -> Response:
    """A new key, shown this once; it may do at most what the key that makes it may."""
    command = MakeApiKey(
        merchant_id=caller.merchant_id,
        maker_scopes=caller.scopes,
        name=body.name,
        scopes=frozenset(body.scopes) if body.scopes is not None else None,
        expires_at=body.expires_at,
        by=caller.actor,
    )
    return JsonResponse(await make_api_key(caller.deps, command), 201)


@router.get("", responses=READ | answer("ApiKeyList"))
async def list_all(caller: Merchant) -> Response:
    """The merchant's keys, the newest first, also those that have ended."""
    return JsonResponse({"data": await list_api_keys(caller.deps, caller.merchant_id)})


@router.post("/{key_id}/rotate", status_code=201, responses=WRITE | answer("NewApiKey", 201))
async def rotate(key_id: str, caller: Merchant, body: RotateKeyBody | None = None) -> Response:
    """A new key with the same scopes, shown this once; the old one works until the overlap is over."""
    overlap_s = (body or RotateKeyBody()).overlap_s
    made = await rotate_api_key(
        caller.deps, caller.merchant_id, caller.scopes, key_id, overlap_s, caller.actor
    )
    return JsonResponse(made, 201)


@router.post("/{key_id}/revoke", responses=WRITE | answer("ApiKey"))
async def revoke(key_id: str, caller: Merchant) -> Response:
    """End a key: within a second nobody believes it any more."""
    return JsonResponse(await revoke_api_key(caller.deps, caller.merchant_id, key_id, caller.actor))
