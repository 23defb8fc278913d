"""All routes of the facade, under `/stripe`: what `stripe.api_base` points to."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.stripe import (
    customers,
    events,
    money,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)
from payment_gateway.api.stripe.errors import envelope
from payment_gateway.api.stripe.route import StripeRoute
from platform_kit.logging import redact_text

router = APIRouter(prefix="/stripe")
for part in (payment_intents, refunds, payment_methods, customers, setup_intents, events, money):
    router.include_router(part.router)

unknown = APIRouter(route_class=StripeRoute, include_in_schema=False)


@unknown.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def unknown_url(path: str, request: Request) -> Response:
    """What is not there, or not by this method, is told in the shape that the client reads."""
    url = redact_text(f"{request.method}: /{path}")
    return envelope(404, {"detail": f"Unrecognized request URL ({url}). docs/stripe.md lists what there is."})


router.include_router(unknown)  # the last: a route that knows the URL comes before it
