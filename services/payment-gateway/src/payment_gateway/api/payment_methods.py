"""Payment methods: parse, one operation, render. The only native route that a card number passes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import CONFLICT, KEYED, READ, VAULT
from payment_gateway.api.payments import PAGE_MAX, respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.customers import (
    AttachBody,
    CardBody,
    CardPaymentMethodBody,
    DetachBody,
    PaymentMethodBody,
    PaymentMethodChanges,
)
from payment_gateway.api.schemas.payments import CustomerId
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.customer import payment_method_object
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
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer
from platform_kit.idempotency import fingerprint_of

router = APIRouter(prefix="/v1/payment-methods", tags=["payment methods"], route_class=VersionedRoute)


@router.post("", status_code=201, responses=VAULT | answer("PaymentMethod", 201), openapi_extra=KEYED)
async def create(body: PaymentMethodBody, request: Request, caller: Merchant) -> Response:
    """Save a way to pay. Of a card only its brand, first six and last four digits and expiry can be seen again."""
    entry = _entry(body.card) if isinstance(body, CardPaymentMethodBody) else None
    fingerprint = caller.deps.vault.request_fingerprint if entry else fingerprint_of
    command = CreatePaymentMethod(
        merchant_id=caller.merchant_id,
        key=await request_key(request, fingerprint),
        type=body.type,
        method=body.method(),
        card=entry,
        billing_details=body.billing(),
        metadata=body.metadata,
    )
    return respond(await create_payment_method(caller.deps, command))


@router.get("/{payment_method_id}", responses=READ | answer("PaymentMethod"))
async def get(payment_method_id: str, caller: Merchant) -> Response:
    """One payment method."""
    found = await get_payment_method(caller.deps, caller.merchant_id, payment_method_id)
    return JsonResponse(payment_method_object(found))


@router.get("", responses=READ | answer("PaymentMethodPage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^pm_[0-9a-z]{26}$")] = None,
    customer_id: Annotated[CustomerId | None, Query()] = None,
    type: Annotated[str | None, Query(pattern=r"^(card|wallet|bank_transfer)$")] = None,
) -> Response:
    """Payment methods, newest first, of one customer or of all; `next_cursor` continues."""
    window = Window(limit, before=cursor)
    page = await list_payment_methods(
        caller.deps, caller.merchant_id, window, customer_id=customer_id, type=type
    )
    shown = [payment_method_object(method) for method in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@router.post("/{payment_method_id}", responses=CONFLICT | answer("PaymentMethod", 200), openapi_extra=KEYED)
async def update(
    payment_method_id: str, body: PaymentMethodChanges, request: Request, caller: Merchant
) -> Response:
    """Change billing details or metadata; what is not given stays."""
    key = await request_key(request)
    return respond(
        await update_payment_method(caller.deps, caller.merchant_id, payment_method_id, body.given(), key)
    )


@router.post(
    "/{payment_method_id}/attach", responses=CONFLICT | answer("PaymentMethod", 200), openapi_extra=KEYED
)
async def attach(payment_method_id: str, body: AttachBody, request: Request, caller: Merchant) -> Response:
    """Save it for a customer."""
    key = await request_key(request)
    return respond(
        await attach_payment_method(caller.deps, caller.merchant_id, payment_method_id, body.customer_id, key)
    )


@router.post(
    "/{payment_method_id}/detach", responses=CONFLICT | answer("PaymentMethod", 200), openapi_extra=KEYED
)
async def detach(
    payment_method_id: str, request: Request, caller: Merchant, body: DetachBody | None = None
) -> Response:
    """Give it up for good: it can neither pay nor be attached again, and its card leaves the vault."""
    key = await request_key(request)
    return respond(await detach_payment_method(caller.deps, caller.merchant_id, payment_method_id, key))


def _entry(card: CardBody) -> CardEntry | None:
    """The card as it was typed in; None for a test token."""
    if card.number is None or card.exp_month is None or card.exp_year is None:
        return None
    cvc = card.cvc.get_secret_value() if card.cvc else None
    return CardEntry(card.number.get_secret_value(), card.exp_month, card.exp_year, cvc)
