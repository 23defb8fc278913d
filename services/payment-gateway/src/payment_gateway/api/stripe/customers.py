"""Stripe's customers, on ours."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.stripe.calls import key_of, respond, settled, window_of
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.customer import customer_object
from payment_gateway.operations.manage_customers import (
    CreateCustomer,
    create_customer,
    delete_customer,
    get_customer,
    list_customers,
    update_customer,
)
from platform_kit.app import JsonResponse

router = APIRouter(
    prefix="/v1/customers", tags=["customers"], route_class=StripeRoute, include_in_schema=False
)

_TEXTS = ("name", "email", "description")
_IGNORED = ("address", "phone", "shipping", "preferred_locales", "tax_exempt", "invoice_settings")


@router.post("")
async def create(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    values = {name: given.text(name) for name in _TEXTS} | {"metadata": given.metadata() or {}}
    given.ignore(*_IGNORED)
    given.done()
    key = await key_of(request, caller.merchant_id)
    command = CreateCustomer(caller.merchant_id, key, values)
    return respond(await settled(lambda: create_customer(caller.deps, command)), render.customer)


@router.get("")
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window, email = window_of(given, "cus"), given.text("email")
    given.done()
    page = await list_customers(caller.deps, caller.merchant_id, window, email=email)
    shown = [customer_object(customer) for customer in page.items]
    return JsonResponse(render.object_list("/v1/customers", shown, page.has_more, render.customer))


@router.get("/{customer}")
async def retrieve(customer: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_customer(caller.deps, caller.merchant_id, customer)
    return JsonResponse(render.customer(customer_object(found)))


@router.post("/{customer}")
async def update(customer: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    found = await get_customer(caller.deps, caller.merchant_id, customer)
    changes = {name: given.text(name) for name in _TEXTS if name in given}
    said = await caller.deps.subjects.opened(caller.merchant_id, customer_object(found))
    metadata = given.metadata(dict(said["metadata"]))
    given.ignore(*_IGNORED)
    given.done()
    key = await key_of(request, caller.merchant_id)
    changed = changes | ({"metadata": metadata} if metadata is not None else {})
    answer = await settled(lambda: update_customer(caller.deps, caller.merchant_id, customer, changed, key))
    return respond(answer, render.customer)


@router.delete("/{customer}")
async def delete(customer: str, caller: Merchant) -> Response:
    return JsonResponse(dict(await delete_customer(caller.deps, caller.merchant_id, customer)))
