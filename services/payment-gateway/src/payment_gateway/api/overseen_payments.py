"""Payments of all merchants for the platform's operators, through the console: what happened, and acting on them.

An act is the merchant's own (capture, void, refund): same checks, same locks, same journal. What is added is who did
it: the operator's name and the reason, in the audit log, in the transaction of the act.
"""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, StringConstraints, model_validator
from pydantic.config import JsonDict
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Operator, require_internal
from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.documented import KEYED, MONEY, READ, WRITE
from payment_gateway.api.payments import respond
from payment_gateway.api.schemas.fields import AmountMinor, Body, LongText
from payment_gateway.api.schemas.payments import Email
from payment_gateway.domain.audit import Actor
from payment_gateway.operations.capture_payment import capture_payment
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.oversee_payments import find_overseen_payment, look_into_payment
from payment_gateway.operations.refund_payment import refund_payment
from payment_gateway.operations.search_payments import search_by_email, search_by_last_four
from payment_gateway.operations.void_payment import void_payment
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
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


def _only(given: str, left_out: str) -> JsonDict:
    return {
        "required": [given],
        "properties": {given: {"type": "string"}, left_out: {"type": "null"}},
    }


class PaymentSearch(Body):
    """By one of them; `before` goes on where a search for a card's digits has stopped."""

    email: Email | None = None
    last_four: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")] | None = None
    before: Annotated[str, StringConstraints(pattern=r"^pay_[0-9a-z]{26}$")] | None = None

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [_only("email", "last_four"), _only("last_four", "email")]}
    )

    @model_validator(mode="after")
    def names_one(self) -> Self:
        if (self.email is None) == (self.last_four is None):
            raise ValueError("exactly one of email and last_four")
        return self


@router.post("/search", responses=WRITE | answer("FoundPayments"))
async def search(body: PaymentSearch, by: Operator, deps: GatewayDeps) -> Response:
    """Payments of whoever has this e-mail, or with a card that ends so. In a body: no address and no log has either.
    The audit log says who searched, and by which of the two."""
    if body.email is not None:
        return JsonResponse(await search_by_email(deps, by, body.email))
    return JsonResponse(await search_by_last_four(deps, by, body.last_four or "", body.before))


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
