"""Payments: parse, one operation, render."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from payment_gateway.api.access import Merchant, caller_of
from payment_gateway.api.documented import KEYED, MONEY, READ
from payment_gateway.api.lists import CreatedFrom, CreatedTo
from payment_gateway.api.request_key import request_key
from payment_gateway.api.sandbox_faults import HEADER as FAULT_HEADER
from payment_gateway.api.sandbox_faults import SandboxFault, fingerprint_with, with_fault
from payment_gateway.api.schemas.fields import Reference
from payment_gateway.api.schemas.payments import (
    CancelBody,
    CaptureBody,
    ConfirmBody,
    CreatePaymentBody,
    CustomerId,
    RefundBody,
    UpdatePaymentBody,
    VoidBody,
)
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.objects import payment_object, refund_object
from payment_gateway.domain.payment import Status
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.cancel_payment import cancel_payment
from payment_gateway.operations.capture_payment import capture_payment
from payment_gateway.operations.confirm_payment import ConfirmPayment, confirm_payment
from payment_gateway.operations.create_payment import CreatePayment, create_payment
from payment_gateway.operations.find_payments import get_payment, list_payments, refunds_of
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.refund_payment import refund_payment
from payment_gateway.operations.update_payment import UpdatePayment, update_payment
from payment_gateway.operations.void_payment import void_payment
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.body import Handler
from platform_kit.contract import answer
from platform_kit.idempotency import REPLAY_HEADER
from platform_kit.problems import MEDIA_TYPE

router = APIRouter(prefix="/v1/payments", tags=["payments"], route_class=VersionedRoute)

PAGE_MAX = 100
ACCEPTED: Final = 202
_COLLECTIONS: Final = {"payment": "/v1/payments", "refund": "/v1/refunds", "dispute": "/v1/disputes"}


async def create(
    body: CreatePaymentBody, request: Request, caller: Merchant, fault: SandboxFault = None
) -> Response:
    """Create and confirm a payment. A decline is a result: 201 with `status: declined`."""
    command = CreatePayment(
        merchant_id=caller.merchant_id,
        key=await request_key(request, fingerprint_with(fault)),
        amount_minor=body.amount_minor,
        surcharge_minor=body.surcharge_minor,
        currency=body.currency,
        capture=body.capture,
        method=body.method.stored() if body.method else None,
        reference=body.reference,
        description=body.description,
        customer=body.customer.model_dump(exclude_none=True) if body.customer else None,
        metadata=with_fault(body.metadata, fault if caller.deps.settings.sandbox else None),
        statement_descriptor=body.statement_descriptor,
        confirm=body.confirm,
        payment_method=body.payment_method,
        customer_id=body.customer_id,
    )
    return respond(await create_payment(caller.deps, command))


class _CreateRoute(VersionedRoute):
    """The one route that every payment takes: a body and a header that are in order go to `create` directly. FastAPI's
    way from the request to its parameters takes a tenth of the process; it says what is wrong with the others."""

    def direct(self, handle: Handler) -> Handler:
        async def create_directly(request: Request) -> Response:
            if FAULT_HEADER in request.headers:
                return await handle(request)
            try:
                body = CreatePaymentBody.model_validate(await request.json())
            except ValidationError:  # who is asking is looked at before what is wrong
                return await handle(request)
            return await create(body, request, await caller_of(request))

        return create_directly


router.add_api_route(
    "",
    create,
    methods=["POST"],
    status_code=201,
    responses=MONEY | answer("Payment", 201, 202),
    openapi_extra=KEYED,
    route_class_override=_CreateRoute,
)


@router.post("/{payment_id}", responses=MONEY | answer("Payment", 200), openapi_extra=KEYED)
async def update(payment_id: str, body: UpdatePaymentBody, request: Request, caller: Merchant) -> Response:
    """Change words at any time, and what is to be charged before it is confirmed."""
    command = UpdatePayment(
        merchant_id=caller.merchant_id,
        payment_id=payment_id,
        key=await request_key(request),
        changes=body.changes(),
    )
    return respond(await update_payment(caller.deps, command))


@router.post("/{payment_id}/confirm", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def confirm(
    payment_id: str, request: Request, caller: Merchant, body: ConfirmBody | None = None
) -> Response:
    """Charge a payment that was created without confirmation, or whose last try was refused."""
    command = ConfirmPayment(
        merchant_id=caller.merchant_id,
        payment_id=payment_id,
        key=await request_key(request),
        method=body.method.stored() if body and body.method else None,
        payment_method=body.payment_method if body else None,
    )
    return respond(await confirm_payment(caller.deps, command))


@router.post("/{payment_id}/cancel", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def cancel(
    payment_id: str, request: Request, caller: Merchant, body: CancelBody | None = None
) -> Response:
    """Give up a payment of which nothing is captured: before it is confirmed, while the payer acts, or its hold."""
    return respond(await cancel_payment(caller.deps, await _act(request, caller.merchant_id, payment_id)))


@router.post("/{payment_id}/capture", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def capture(
    payment_id: str,
    request: Request,
    caller: Merchant,
    body: CaptureBody | None = None,
) -> Response:
    """Capture what is held, or a part of it."""
    act = await _act(request, caller.merchant_id, payment_id, body.amount_minor if body else None)
    return respond(await capture_payment(caller.deps, act, is_final=body is not None and body.final))


@router.post("/{payment_id}/void", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def void(payment_id: str, request: Request, caller: Merchant, body: VoidBody | None = None) -> Response:
    """Give up what is held and not captured."""
    return respond(await void_payment(caller.deps, await _act(request, caller.merchant_id, payment_id)))


@router.post(
    "/{payment_id}/refunds",
    status_code=201,
    responses=MONEY | answer("Refund", 201, 202),
    openapi_extra=KEYED,
)
async def refund(
    payment_id: str, request: Request, caller: Merchant, body: RefundBody | None = None
) -> Response:
    """Refund what is captured, or a part of it."""
    wanted = body or RefundBody()
    act = await _act(request, caller.merchant_id, payment_id, wanted.amount_minor)
    told = replace(act, reason=wanted.reason, metadata=wanted.metadata)
    return respond(await refund_payment(caller.deps, told))


@router.get("/{payment_id}", responses=READ | answer("Payment"))
async def get(payment_id: str, caller: Merchant) -> Response:
    """One payment."""
    return JsonResponse(payment_object(await get_payment(caller.deps, caller.merchant_id, payment_id)))


@router.get("", responses=READ | answer("PaymentPage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^pay_[0-9a-z]{26}$")] = None,
    status: Status | None = None,
    reference: Annotated[Reference | None, Query()] = None,
    customer_id: Annotated[CustomerId | None, Query(description="payments of this saved customer")] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response:
    """Payments, newest first; `next_cursor` continues."""
    window = Window(limit, before=cursor, created_from=created_from, created_to=created_to)
    page = await list_payments(
        caller.deps,
        caller.merchant_id,
        window,
        status=status,
        reference=reference,
        customer=customer_id,
    )
    return JsonResponse({"data": [payment_object(p) for p in page.items], "next_cursor": page.next_before})


@router.get("/{payment_id}/refunds", responses=READ | answer("RefundList"))
async def list_refunds_of(payment_id: str, caller: Merchant) -> Response:
    """The refunds of a payment, oldest first."""
    found = await refunds_of(caller.deps, caller.merchant_id, payment_id)
    return JsonResponse({"data": [refund_object(refund) for refund in found]})


def respond(answer: Answer) -> Response:
    """An operation's answer as it goes out: a repetition carries the marker header, one that is not final says where to
    ask again."""
    headers = {REPLAY_HEADER: "true"} if answer.replayed else None
    if answer.status == ACCEPTED:
        headers = {**(headers or {}), **_where_to_ask(answer)}
    media_type = "application/json" if answer.status < 400 else MEDIA_TYPE
    return Response(answer.body, answer.status, headers, media_type)


def _where_to_ask(answer: Answer) -> dict[str, str]:
    shown = answer.object
    collection = _COLLECTIONS.get(str(shown.get("object")))
    return {"Location": f"{collection}/{shown['id']}", "Retry-After": "1"} if collection else {}


async def _act(
    request: Request,
    merchant: str,
    payment_id: str,
    amount_minor: int | None = None,
) -> Act:
    return Act(
        merchant_id=merchant,
        payment_id=payment_id,
        key=await request_key(request),
        amount_minor=amount_minor,
    )
