"""Customers: parse, one operation, render."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.documented import CONFLICT, KEYED, READ
from payment_gateway.api.payments import PAGE_MAX, respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.customers import CustomerBody
from payment_gateway.api.schemas.payments import Email
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.customer import customer_object
from payment_gateway.operations.manage_customers import (
    CreateCustomer,
    create_customer,
    delete_customer,
    get_customer,
    list_customers,
    update_customer,
)
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=VersionedRoute)


@router.post("", status_code=201, responses=CONFLICT | answer("StoredCustomer", 201), openapi_extra=KEYED)
async def create(body: CustomerBody, request: Request, caller: Merchant) -> Response:
    """Remember somebody who pays."""
    command = CreateCustomer(
        merchant_id=caller.merchant_id,
        key=await request_key(request),
        values=body.given(),
    )
    return respond(await create_customer(caller.deps, command))


@router.get("/{customer_id}", responses=READ | answer("StoredCustomer"))
async def get(customer_id: str, caller: Merchant) -> Response:
    """One customer."""
    return JsonResponse(customer_object(await get_customer(caller.deps, caller.merchant_id, customer_id)))


@router.get("", responses=READ | answer("CustomerPage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^cus_[0-9a-z]{26}$")] = None,
    email: Annotated[Email | None, Query()] = None,
) -> Response:
    """Customers, newest first; `next_cursor` continues."""
    page = await list_customers(caller.deps, caller.merchant_id, Window(limit, before=cursor), email=email)
    shown = [customer_object(customer) for customer in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@router.post("/{customer_id}", responses=CONFLICT | answer("StoredCustomer", 200), openapi_extra=KEYED)
async def update(customer_id: str, body: CustomerBody, request: Request, caller: Merchant) -> Response:
    """Change what is given; null takes a value away."""
    key = await request_key(request)
    return respond(await update_customer(caller.deps, caller.merchant_id, customer_id, body.given(), key))


@router.delete("/{customer_id}", responses=READ | answer("DeletedCustomer"))
async def delete(customer_id: str, caller: Merchant) -> Response:
    """Forget who it was, and detach the payment methods. Payments stay as they are."""
    return JsonResponse(await delete_customer(caller.deps, caller.merchant_id, customer_id))
