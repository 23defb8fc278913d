"""What channels' files have and nobody can explain: booked and resolved by the administrator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from payment_gateway.api.access import Administrator, GatewayDeps, require_admin
from payment_gateway.api.documented import CONFLICT, READ
from payment_gateway.api.schemas.suspense import ResolveBody, SuspenseBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.suspense import Direction, Suspense, Target, suspense_id
from payment_gateway.operations.keep_suspense import (
    ResolveSuspense,
    book_suspense,
    list_suspense,
    resolve_suspense,
)
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(
    prefix="/v1/admin/suspense",
    tags=["administration"],
    route_class=VersionedRoute,
    dependencies=[Depends(require_admin)],
)


@router.post("", status_code=201, responses=CONFLICT | answer("Suspense", 201))
async def book(body: SuspenseBody, deps: GatewayDeps, admin: Administrator) -> Response:
    """Take a line that nobody can explain out of what the channel owes. The same line again changes nothing."""
    item = Suspense(
        id=suspense_id(body.channel, body.reference),
        channel=body.channel,
        reference=body.reference,
        direction=Direction(body.direction),
        amount_minor=body.amount_minor,
        currency=body.currency,
        note=body.note,
        created_at=datetime.now(UTC),
    )
    return JsonResponse(await book_suspense(deps, item, admin), 201)


@router.get("", responses=READ | answer("SuspensePage"))
async def list_all(
    deps: GatewayDeps,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^sus_[0-9a-f]{26}$")] = None,
    open: bool = True,
) -> Response:
    """Items, the open ones alone unless `open` is false; `next_cursor` continues."""
    found = await list_suspense(deps, after=cursor, is_open=open, limit=limit)
    shown = list(found[:limit])
    return JsonResponse({"data": shown, "next_cursor": shown[-1]["id"] if len(found) > limit else None})


@router.post("/{item_id}/resolve", responses=CONFLICT | answer("Suspense"))
async def resolve(item_id: str, body: ResolveBody, deps: GatewayDeps, admin: Administrator) -> Response:
    """Say whose it is, once: the channel's mistake, its fee, the platform's loss or gain, or a merchant's."""
    command = ResolveSuspense(item_id, Target(body.to), body.note, body.merchant_id)
    return JsonResponse(await resolve_suspense(deps, command, admin))
