"""Payments of all merchants for the platform's operators, through the console: what happened, and acting on them.

An act is the merchant's own (capture, void, refund): same checks, same locks, same journal. What is added is who did
it: the operator's name and the reason, in the audit log, in the transaction of the act.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import StringConstraints
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Operator, require_internal
from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.documented import MONEY, READ
from payment_gateway.api.payments import respond
from payment_gateway.api.schemas.fields import AmountMinor, Body, LongText
from payment_gateway.domain.audit import Actor
from payment_gateway.operations.capture_payment import capture_payment
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.oversee_payments import find_overseen_payment, look_into_payment
from payment_gateway.operations.refund_payment import refund_payment
from payment_gateway.operations.void_payment import void_payment
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import KEYED, answer
from platform_kit.idempotency import IdempotencyKey, fingerprint_of

router = APIRouter(prefix="/internal/payments", tags=["internal"], route_class=StrictRoute)
Reason = Annotated[LongText, StringConstraints(min_length=3)]


class OperatorAct(Body):
    """Why, in words for the audit log; without an amount, all that remains."""

    reason: Reason
    amount_minor: AmountMinor | None = None


class OperatorVoid(Body):
    """Why, in words for the audit log."""

    reason: Reason


@router.get(
    "/{payment_id}", responses=READ | answer("PaymentHistory"), dependencies=[Depends(require_internal)]
)
async def look_into(payment_id: str, deps: GatewayDeps) -> Response:
    """One payment, whosever it is: routes with their reasons, attempts, webhook deliveries, acts of operators."""
    return JsonResponse(await look_into_payment(deps, payment_id))


@router.post("/{payment_id}/capture", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def capture(
    payment_id: str, body: OperatorAct, request: Request, by: Operator, deps: GatewayDeps
) -> Response:
    """Capture what is held, or a part of it, for the merchant."""
    act = await _act(request, deps, by, payment_id, body.reason, body.amount_minor)
    return respond(await capture_payment(deps, act))


@router.post("/{payment_id}/void", responses=MONEY | answer("Payment", 200, 202), openapi_extra=KEYED)
async def void(
    payment_id: str, body: OperatorVoid, request: Request, by: Operator, deps: GatewayDeps
) -> Response:
    """Give up what is held and not captured, for the merchant."""
    return respond(await void_payment(deps, await _act(request, deps, by, payment_id, body.reason)))


@router.post(
    "/{payment_id}/refunds",
    status_code=201,
    responses=MONEY | answer("Refund", 201, 202),
    openapi_extra=KEYED,
)
async def refund(
    payment_id: str, body: OperatorAct, request: Request, by: Operator, deps: GatewayDeps
) -> Response:
    """Refund what is captured, or a part of it, for the merchant."""
    act = await _act(request, deps, by, payment_id, body.reason, body.amount_minor)
    return respond(await refund_payment(deps, act))


async def _act(
    request: Request, deps: Deps, by: Actor, payment_id: str, reason: str, amount_minor: int | None = None
) -> Act:
    key = IdempotencyKey(idempotency_key_of(request), fingerprint_of(request.url.path, await request.body()))
    payment = await find_overseen_payment(deps, payment_id)
    return Act(payment.merchant_id, payment.id, key, amount_minor, reason, by=by)
