"""Stripe's payment methods and customers, on ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.stripe.calls import key_of, respond, settled, window_of
from payment_gateway.api.stripe.errors import InvalidParameter
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.customer import payment_method_object
from payment_gateway.operations.manage_customers import get_customer
from payment_gateway.operations.manage_payment_methods import (
    CardEntry,
    CreatePaymentMethod,
    attach_payment_method,
    create_payment_method,
    detach_payment_method,
    get_payment_method,
    list_payment_methods,
    update_payment_method,
)
from platform_kit.app import JsonResponse

router = APIRouter(prefix="/v1", tags=["customers"], route_class=StripeRoute, include_in_schema=False)

TEST_METHODS: Final[Mapping[str, str]] = {
    "pm_card_visa": "tok_visa",
    "pm_card_mastercard": "tok_mastercard",
    "pm_card_chargeDeclined": "tok_declined",
    "pm_card_visa_chargeDeclined": "tok_declined",
    "pm_card_chargeDeclinedInsufficientFunds": "tok_insufficient_funds",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "tok_insufficient_funds",
    "pm_card_chargeDeclinedExpiredCard": "tok_expired",
    "pm_card_visa_chargeDeclinedExpiredCard": "tok_expired",
    "pm_card_visa_chargeDeclinedLostCard": "tok_lost",
    "pm_card_visa_chargeDeclinedStolenCard": "tok_stolen",
    "pm_card_authenticationRequired": "tok_3ds",
    "pm_card_threeDSecure2Required": "tok_3ds",
}
"""Stripe's published test payment methods -> our test tokens. They are made when they are named, and kept by nobody."""


def new_test_card(name: str) -> dict[str, Any]:
    """A new card of that kind, as each use of Stripe's is: risk counts by card, and would soon refuse one for all."""
    return {"type": "card", "token": f"{TEST_METHODS[name]}_{token_hex(4)}"}


def method_of(given: Parameters) -> tuple[str | None, dict[str, Any] | None]:
    """(id of a saved payment method, method given in place): at most one of the two."""
    named, data = given.text("payment_method"), given.nested("payment_method_data")
    if named is not None and data is not None:
        raise InvalidParameter("Send payment_method or payment_method_data, not both.", "payment_method_data")
    if named in TEST_METHODS:
        return None, new_test_card(str(named))
    if data is None:
        return named, None
    kind = data.required("type")
    details = data.nested(kind)
    data.ignore("billing_details", "metadata", "allow_redisplay")
    data.done()
    if kind == "card":
        token = details.required("token") if details else None
        if token is None:
            raise InvalidParameter("Create a payment method for a card.", data.path("card"))
        return None, {"type": "card", "token": token}
    if kind == "wallet":
        provider = details.text("provider") if details else None
        return None, {"type": "wallet", "provider": provider or "qr"}
    raise InvalidParameter(f"Invalid {data.path('type')}.", data.path("type"))


@router.post("/payment_methods")
async def create(request: Request, caller: Merchant) -> Response:
    form = await read_form(request)
    card = _card_entry(form)
    given = Parameters(form)
    kind = given.required("type")
    details = given.nested(kind)
    method: dict[str, Any] | None = None
    if kind == "card" and card is None:
        token = details.required("token") if details else None
        if token is None:
            raise InvalidParameter("Missing required param: card.", "card", "parameter_missing")
        method = {"type": "card", "token": token}
    elif kind == "wallet":
        method = {"type": "wallet", "provider": (details.text("provider") if details else None) or "qr"}
    elif kind != "card":
        raise InvalidParameter("Invalid type.", "type")
    key = await key_of(request, caller.merchant_id)
    command = CreatePaymentMethod(
        merchant_id=caller.merchant_id,
        key=key,
        type=kind,
        method=method,
        card=card,
        billing_details=_billing_details(given),
        metadata=given.metadata() or {},
    )
    given.ignore("allow_redisplay")
    given.done()
    answer = await settled(lambda: create_payment_method(caller.deps, command))
    return respond(answer, render.payment_method)


@router.get("/payment_methods")
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    customer = given.text("customer")
    return await _list(request, caller, given, customer, "/v1/payment_methods")


@router.get("/customers/{customer}/payment_methods")
async def list_of_customer(customer: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    await get_customer(caller.deps, caller.merchant_id, customer)
    return await _list(request, caller, given, customer, f"/v1/customers/{customer}/payment_methods")


async def _list(
    request: Request, caller: Merchant, given: Parameters, customer: str | None, url: str
) -> Response:
    window = window_of(given, "pm")
    kind = given.text("type")
    given.done()
    page = await list_payment_methods(
        caller.deps, caller.merchant_id, window, customer_id=customer, type=kind
    )
    shown = [payment_method_object(method) for method in page.items]
    return JsonResponse(render.object_list(url, shown, page.has_more, render.payment_method))


@router.get("/payment_methods/{method}")
async def retrieve(method: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_payment_method(caller.deps, caller.merchant_id, method)
    return JsonResponse(render.payment_method(payment_method_object(found)))


@router.post("/payment_methods/{method}")
async def update(method: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    found = await get_payment_method(caller.deps, caller.merchant_id, method)
    metadata = given.metadata(dict(found.metadata))
    billing = _billing_details(given)
    changes = ({"metadata": metadata} if metadata is not None else {}) | (
        {"billing_details": billing} if billing else {}
    )
    given.ignore("allow_redisplay")
    given.done()
    key = await key_of(request, caller.merchant_id)
    answer = await settled(
        lambda: update_payment_method(caller.deps, caller.merchant_id, method, changes, key)
    )
    return respond(answer, render.payment_method)


@router.post("/payment_methods/{method}/attach")
async def attach(method: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    customer = given.required("customer")
    given.done()
    key = await key_of(request, caller.merchant_id)
    if method in TEST_METHODS:  # a test method becomes one of this merchant's when it is attached
        made = CreatePaymentMethod(
            merchant_id=caller.merchant_id,
            key=replace(key, scope=f"{key.scope} test-method"),  # the key itself is for the attachment
            type="card",
            method=new_test_card(method),
        )
        method = (await settled(lambda: create_payment_method(caller.deps, made))).object["id"]
    answer = await settled(
        lambda: attach_payment_method(caller.deps, caller.merchant_id, method, customer, key)
    )
    return respond(answer, render.payment_method)


@router.post("/payment_methods/{method}/detach")
async def detach(method: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    key = await key_of(request, caller.merchant_id)
    answer = await settled(lambda: detach_payment_method(caller.deps, caller.merchant_id, method, key))
    return respond(answer, render.payment_method)


def _card_entry(form: dict[str, Any]) -> CardEntry | None:
    """A card's number, taken out of the form before anything else looks at it."""
    card = form.get("card")
    if not isinstance(card, dict) or "number" not in card:
        return None
    number, month, year = (str(card.pop(name, "")) for name in ("number", "exp_month", "exp_year"))
    cvc = card.pop("cvc", None)
    for name, value in (("exp_month", month), ("exp_year", year)):
        if not (value.isascii() and value.isdigit() and len(value) <= 4):
            raise InvalidParameter(f"Invalid card[{name}].", f"card[{name}]", f"invalid_expiry_{name[4:]}")
    full_year = int(year) + 2000 if len(year) == 2 else int(year)
    return CardEntry(number, int(month), full_year, str(cvc) if cvc else None)


def _billing_details(given: Parameters) -> dict[str, Any]:
    details = given.nested("billing_details")
    if details is None:
        return {}
    known = {name: details.text(name) for name in ("name", "email", "phone")}
    details.ignore("address", "tax_id")
    details.done()
    return {name: value for name, value in known.items() if value is not None}
