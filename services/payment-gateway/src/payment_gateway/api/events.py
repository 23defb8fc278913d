"""A merchant's events."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import READ
from payment_gateway.api.schemas.webhooks import EVENT_TYPE_PATTERN
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.operations.find_events import get_event, list_events
from payment_gateway.store.events import EventFilter
from platform_kit.app import JsonResponse
from platform_kit.contract import answer
from platform_kit.moments import Moment

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=VersionedRoute)

EventId = Annotated[str | None, Query(max_length=64, pattern=r"^evt_[0-9a-z]{26}$")]


@router.get("", responses=READ | answer("EventPage"))
async def list_all(
    caller: Merchant,
    cursor: EventId = None,
    after: EventId = None,
    before: EventId = None,
    type: Annotated[str | None, Query(max_length=100, pattern=EVENT_TYPE_PATTERN)] = None,
    aggregate_id: Annotated[
        str | None, Query(max_length=64, pattern=r"^[a-z]{1,8}_[0-9a-z_]{1,55}$", examples=["pay_…"])
    ] = None,
    occurred_from: Annotated[Moment | None, Query()] = None,
    occurred_to: Annotated[Moment | None, Query()] = None,
    order: Literal["asc", "desc"] = "asc",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Events in the order in which they became facts, or with `order=desc` backwards; `next_cursor` continues. To
    follow what happens, pass the id of the last event that you have as `after` (going back: as `before`).
    `aggregate_id` tells the story of one object."""
    page = await list_events(
        caller.deps,
        caller.merchant_id,
        after=(cursor or after) if order == "asc" else after,
        before=(cursor or before) if order == "desc" else before,
        where=EventFilter(type, since=occurred_from, until=occurred_to, aggregate_id=aggregate_id),
        newest_first=order == "desc",
        limit=limit,
    )
    last = page.events[-1]["id"] if page.has_more else None
    return JsonResponse(
        {
            "data": list(page.events),
            "next_cursor": last,
            "has_more": page.has_more,
            "next_after": last if order == "asc" else None,
            "next_before": last if order == "desc" else None,
        }
    )


@router.get("/{event_id}", responses=READ | answer("Event"))
async def get(event_id: str, caller: Merchant) -> Response:
    """One event, as it was or will be sent to webhook endpoints."""
    return JsonResponse(await get_event(caller.deps, caller.merchant_id, event_id))
