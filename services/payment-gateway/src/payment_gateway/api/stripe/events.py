"""Stripe's events and webhook endpoints, on ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.stripe.calls import window_of
from payment_gateway.api.stripe.errors import InvalidParameter
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.webhook_style import STRIPE
from payment_gateway.operations.find_events import get_event, list_events
from payment_gateway.operations.manage_webhook_endpoints import (
    delete_webhook_endpoint,
    get_webhook_endpoint,
    list_webhook_endpoints,
    register_webhook_endpoint,
    update_webhook_endpoint,
)
from payment_gateway.store.events import EventFilter
from platform_kit.app import JsonResponse

router = APIRouter(prefix="/v1", route_class=StripeRoute, include_in_schema=False)

ENDPOINTS_READ: Final = 100


@router.get("/events", tags=["events"])
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "evt")
    wanted, several = given.text("type"), given.texts("types")
    given.done()
    if wanted and several:
        raise InvalidParameter("Use type or types, not both.", "types")
    named = several or ([wanted] if wanted else [])
    kinds = [kind for name in named for kind in _native_types(name, "types" if several else "type")] or None
    newest_first = window.after is None
    page = await list_events(
        caller.deps,
        caller.merchant_id,
        after=window.after,
        before=window.before,
        where=EventFilter(types=kinds, since=window.created_from, until=window.created_to),
        newest_first=newest_first,
        limit=window.limit,
    )
    found = page.events if newest_first else page.events[::-1]
    return JsonResponse(render.object_list("/v1/events", found, page.has_more, render.event))


@router.get("/events/{event}", tags=["events"])
async def retrieve(event: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    return JsonResponse(render.event(await get_event(caller.deps, caller.merchant_id, event)))


@router.post("/webhook_endpoints", tags=["webhooks"])
async def register(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    url, types = given.required("url"), _event_types(given)
    if types == []:
        raise InvalidParameter(
            "Missing required param: enabled_events.", "enabled_events", "parameter_missing"
        )
    description, metadata = given.text("description"), given.metadata() or {}
    given.ignore("api_version", "connect")
    given.done()
    made = await register_webhook_endpoint(
        caller.deps,
        caller.merchant_id,
        url,
        event_types=types,
        description=description,
        metadata=metadata,
        style=STRIPE,
        by=caller.actor,
    )
    return JsonResponse(render.webhook_endpoint(made))


@router.get("/webhook_endpoints", tags=["webhooks"])
async def list_endpoints(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "we")
    given.done()
    newest_first = [
        endpoint
        for endpoint in reversed(await _all_endpoints(caller))
        if (window.before is None or endpoint["id"] < window.before)
        and (window.after is None or endpoint["id"] > window.after)
        and window.spans(datetime.fromisoformat(endpoint["created_at"]))
    ]
    part = newest_first[: window.limit] if window.after is None else newest_first[-window.limit :]
    has_more = len(newest_first) > window.limit
    return JsonResponse(render.object_list("/v1/webhook_endpoints", part, has_more, render.webhook_endpoint))


@router.get("/webhook_endpoints/{endpoint}", tags=["webhooks"])
async def retrieve_endpoint(endpoint: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_webhook_endpoint(caller.deps, caller.merchant_id, endpoint)
    return JsonResponse(render.webhook_endpoint(found))


@router.post("/webhook_endpoints/{endpoint}", tags=["webhooks"])
async def update_endpoint(endpoint: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    before = await get_webhook_endpoint(caller.deps, caller.merchant_id, endpoint)
    changes: dict[str, Any] = {
        "url": given.text("url"),
        "description": given.text("description"),
        "metadata": given.metadata(dict(before["metadata"])),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if "enabled_events" in given:
        changes["event_types"] = _event_types(given)
    if "disabled" in given:
        changes["enabled"] = not given.flag("disabled")
    given.done()
    changed = await update_webhook_endpoint(caller.deps, caller.merchant_id, endpoint, changes, caller.actor)
    return JsonResponse(render.webhook_endpoint(changed))


@router.delete("/webhook_endpoints/{endpoint}", tags=["webhooks"])
async def delete_endpoint(endpoint: str, caller: Merchant) -> Response:
    await delete_webhook_endpoint(caller.deps, caller.merchant_id, endpoint, caller.actor)
    return JsonResponse({"id": endpoint, "object": "webhook_endpoint", "deleted": True})


async def _all_endpoints(caller: Caller) -> list[Mapping[str, Any]]:
    """Oldest first. A merchant has few: they are read whole, and paged here."""
    found: list[Mapping[str, Any]] = []
    after: str | None = None
    while True:
        page = await list_webhook_endpoints(
            caller.deps, caller.merchant_id, after=after, limit=ENDPOINTS_READ
        )
        found += page.endpoints
        after = page.next_after
        if after is None:
            return found


def _event_types(given: Parameters) -> list[str] | None:
    """Our types for the events that were named in Stripe's words; None = all of them."""
    named = given.texts("enabled_events")
    if "*" in named:
        return None
    return sorted({kind for name in named for kind in _native_types(name, "enabled_events")})


def _native_types(name: str, param: str) -> list[str]:
    found = [kind for kind, stripe_name in render.EVENT_TYPES.items() if stripe_name == name]
    if name == "charge.captured":
        found = ["payment.captured.v1"]
    if not found:
        told = ", ".join(sorted({*render.EVENT_TYPES.values(), "charge.captured"}))
        raise InvalidParameter(f"This is no event of ours. There are: {told}.", param)
    return found
