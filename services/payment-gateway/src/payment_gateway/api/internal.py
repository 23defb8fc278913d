"""Doors for channels and services, not for merchants."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, engine_of, require_internal
from payment_gateway.operations.receive_channel_event import receive_channel_event
from payment_gateway.operations.total_ledger import total_ledger
from payment_gateway.store.tables import outbox
from platform_kit.app import JsonResponse
from platform_kit.contract import answer
from platform_kit.outbox import events_router

router = APIRouter(tags=["internal"])
router.include_router(events_router(engine_of, outbox, require_internal))


@router.post("/internal/channel-events/{channel}", status_code=200, include_in_schema=False)
async def receive(channel: str, request: Request, deps: GatewayDeps) -> Response:
    """A channel's signed report. Answered after it is durable, 202 when it waits for what it is about; a duplicate is
    answered alike."""
    applied = await receive_channel_event(deps, channel, request.headers, await request.body())
    return JsonResponse({"received": True}, 200 if applied else 202)


@router.get(
    "/internal/ledger/totals", dependencies=[Depends(require_internal)], responses=answer("LedgerTotals")
)
async def totals(deps: GatewayDeps) -> Response:
    """What the ledger has moved by currency as of the last numbered event: what its reader must have, too."""
    position, moved = await total_ledger(deps)
    return JsonResponse(
        {
            "position": position,
            "currencies": [{"currency": name, "moved_minor": amount} for name, amount in moved.items()],
        }
    )
