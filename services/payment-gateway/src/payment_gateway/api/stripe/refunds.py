"""Stripe's refunds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.stripe.calls import key_of, respond_on_intent, settled, window_of
from payment_gateway.api.stripe.errors import InvalidParameter, envelope
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.names import native_id
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.objects import refund_object
from payment_gateway.operations.find_payments import get_refund, list_refunds
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.refund_payment import refund_payment, update_refund
from platform_kit.app import JsonResponse

router = APIRouter(prefix="/v1/refunds", tags=["payments"], route_class=StripeRoute, include_in_schema=False)


@router.post("")
async def create(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    intent, charge = given.text("payment_intent"), given.text("charge")
    if intent is None and charge is None:
        raise InvalidParameter("Name a payment_intent or a charge.", "payment_intent", "parameter_missing")
    key = await key_of(request, caller.merchant_id)
    act = Act(
        merchant_id=caller.merchant_id,
        payment_id=native_id("pi", intent) if intent else native_id("ch", str(charge)),
        key=key,
        amount_minor=given.integer("amount", least=1),
        reason=given.choice("reason", "duplicate", "fraudulent", "requested_by_customer"),
        metadata=given.metadata() or {},
    )
    given.ignore("instructions_email", "origin", "refund_application_fee", "reverse_transfer")
    given.done()
    answer = await settled(lambda: refund_payment(caller.deps, act))
    return await respond_on_intent(caller, act.payment_id, answer, render.refund)


@router.get("")
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "re")
    intent, charge = given.text("payment_intent"), given.text("charge")
    given.done()
    payment_id = native_id("pi", intent) if intent else native_id("ch", charge) if charge else None
    page = await list_refunds(caller.deps, caller.merchant_id, window, payment_id)
    shown = [refund_object(refund) for refund in page.items]
    return JsonResponse(render.object_list("/v1/refunds", shown, page.has_more, render.refund))


@router.get("/{refund}")
async def retrieve(refund: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_refund(caller.deps, caller.merchant_id, native_id("re", refund))
    return JsonResponse(render.refund(refund_object(found)))


@router.post("/{refund}")
async def update(refund: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    found = await get_refund(caller.deps, caller.merchant_id, native_id("re", refund))
    metadata = given.metadata(dict(found.metadata))
    given.done()
    changed = found if metadata is None else await update_refund(caller.deps, found, metadata)
    return JsonResponse(render.refund(refund_object(changed)))


@router.post("/{refund}/cancel")
async def cancel(refund: str, request: Request, caller: Merchant) -> Response:
    """A refund is with its channel from the first moment: it ends by itself, and cannot be called back."""
    Parameters(await read_form(request)).done()
    found = await get_refund(caller.deps, caller.merchant_id, native_id("re", refund))
    message = f"A refund that is {found.status} cannot be canceled."
    return envelope(400, {"detail": message})
