"""Stripe's events and webhook endpoints, on ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.stripe.calls import window_of
from payment_gateway.api.stripe.errors import InvalidParameter
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.stripe_objects.tellings import NAMES, shapes_of
from payment_gateway.domain.webhook_style import STRIPE
from payment_gateway.operations.find_tellings import Told, get_telling, list_tellings
from payment_gateway.operations.manage_webhook_endpoints import (
    delete_webhook_endpoint,
    get_webhook_endpoint,
    list_webhook_endpoints,
    register_webhook_endpoint,
    update_webhook_endpoint,
)
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
    names = _known(several or ([wanted] if wanted else []), "types" if several else "type") or None
    found, has_more = await list_tellings(caller.deps, caller.merchant_id, window, names)
    return JsonResponse(render.object_list("/v1/events", map(_event, found), has_more, dict))


@router.get("/events/{event}", tags=["events"])
async def retrieve(event: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    return JsonResponse(_event(await get_telling(caller.deps, caller.merchant_id, event)))


@router.post("/webhook_endpoints", tags=["webhooks"])
async def register(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    url, names = given.required("url"), _event_names(given)
    if names == []:
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
        event_types=_native_types(names),
        event_names=names,
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
        names = _event_names(given)
        changes |= {"event_types": _native_types(names), "event_names": names}
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


def _event(told: Told) -> dict[str, Any]:
    return render.event(told.event, told.telling)


def _event_names(given: Parameters) -> list[str] | None:
    """What is to be told, in Stripe's words; None = everything."""
    named = given.texts("enabled_events")
    return None if "*" in named else _known(named, "enabled_events")


def _native_types(names: list[str] | None) -> list[str] | None:
    """Our types for those names."""
    return None if names is None else sorted({kind for kind, _ in shapes_of(names)})


def _known(names: Sequence[str], param: str) -> list[str]:
    """Each once, and none with a typo in it: that would never be told, and nobody would say so."""
    for name in names:
        if name not in NAMES:
            near = "".join(f" Did you mean {one}?" for one in get_close_matches(name, NAMES, 1))
            told = ", ".join(sorted(NAMES))
            raise InvalidParameter(f"This is no event of ours.{near} There are: {told}.", param)
    return sorted(set(names))
