"""Stripe's setup intents."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.stripe.calls import is_by_state, key_of, marked, respond, settled, window_of
from payment_gateway.api.stripe.errors import InvalidParameter, unexpected_state
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.setup_intent import setup_intent_object
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.manage_setup_intents import (
    SetupRequest,
    cancel_setup_intent,
    get_setup_intent,
    list_setup_intents,
    save_setup_intent,
)
from platform_kit.app import JsonResponse

router = APIRouter(
    prefix="/v1/setup_intents", tags=["customers"], route_class=StripeRoute, include_in_schema=False
)

_ACCEPTED: Final = (
    "automatic_payment_methods",
    "client_secret",
    "mandate_data",
    "payment_method_options",
    "payment_method_types",
    "return_url",
    "use_stripe_sdk",
)


@router.post("")
async def create(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    return await _save(request, caller, None, given, confirm=given.flag("confirm"))


@router.get("")
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "seti")
    customer, method = given.text("customer"), given.text("payment_method")
    given.done()
    page = await list_setup_intents(
        caller.deps, caller.merchant_id, window, customer_id=customer, payment_method_id=method
    )
    shown = [setup_intent_object(setup) for setup in page.items]
    return JsonResponse(render.object_list("/v1/setup_intents", shown, page.has_more, render.setup_intent))


@router.get("/{setup}")
async def retrieve(setup: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    given.ignore("client_secret")
    given.done()
    found = await get_setup_intent(caller.deps, caller.merchant_id, setup)
    return JsonResponse(render.setup_intent(setup_intent_object(found)))


@router.post("/{setup}")
async def update(setup: str, request: Request, caller: Merchant) -> Response:
    return await _save(request, caller, setup, Parameters(await read_form(request)), confirm=False)


@router.post("/{setup}/confirm")
async def confirm(setup: str, request: Request, caller: Merchant) -> Response:
    return await _save(request, caller, setup, Parameters(await read_form(request)), confirm=True)


@router.post("/{setup}/cancel")
async def cancel(setup: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    given.choice("cancellation_reason", "abandoned", "duplicate", "requested_by_customer")
    given.done()
    key = await key_of(request, caller.merchant_id)
    answer = await settled(lambda: cancel_setup_intent(caller.deps, caller.merchant_id, setup, key))
    return await _respond(caller, setup, answer)


async def _save(
    request: Request, caller: Caller, setup_id: str | None, given: Parameters, *, confirm: bool
) -> Response:
    before = await get_setup_intent(caller.deps, caller.merchant_id, setup_id) if setup_id else None
    changes: dict[str, Any] = {
        "customer_id": given.text("customer"),
        "payment_method_id": given.text("payment_method"),
        "description": given.text("description"),
        "usage": given.choice("usage", "off_session", "on_session"),
        "metadata": given.metadata(dict(before.metadata) if before else None),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    given.ignore(*_ACCEPTED)
    given.done()
    if confirm and not (changes.get("payment_method_id") or (before and before.payment_method_id)):
        raise InvalidParameter(
            "A payment_method is needed to confirm.", "payment_method", "parameter_missing"
        )
    key = await key_of(request, caller.merchant_id)
    wanted = SetupRequest(caller.merchant_id, key, setup_id, changes, confirm=confirm)
    return await _respond(caller, setup_id, await settled(lambda: save_setup_intent(caller.deps, wanted)))


async def _respond(caller: Caller, setup_id: str | None, answer: Answer) -> Response:
    """A card that does not pass is a CardError, as for a payment; a state that does not admit it is shown."""
    body = answer.object
    if setup_id is not None and is_by_state(answer):
        found = setup_intent_object(await get_setup_intent(caller.deps, caller.merchant_id, setup_id))
        return unexpected_state(body, "setup_intent", render.setup_intent(found), marked(answer))
    if answer.status < 400 and body["decline_code"] and body["status"] == "requires_payment_method":
        error = render.payment_error(body["decline_code"], None) | {"setup_intent": render.setup_intent(body)}
        return JsonResponse({"error": error}, 402, marked(answer))
    return respond(answer, render.setup_intent)
