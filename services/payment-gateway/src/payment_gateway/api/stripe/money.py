"""Stripe's balance, balance transactions, payouts and disputes, on ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.stripe.calls import key_of, respond, settled, window_of
from payment_gateway.api.stripe.errors import INVALID_CURRENCY, InvalidParameter, envelope
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.names import native_id
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.dispute import DisputeEvent, dispute_object
from payment_gateway.domain.payout import PayoutStatus, payout_object
from payment_gateway.operations.answer_dispute import (
    AnswerDispute,
    answer_dispute,
    get_dispute,
    list_disputes,
)
from payment_gateway.operations.find_balance import get_balance, get_movement, get_terms, list_movements
from payment_gateway.operations.make_payout import (
    MakePayout,
    cancel_payout,
    get_payout,
    list_payouts,
    make_payout,
)
from platform_kit.app import JsonResponse
from platform_kit.money import CURRENCIES

router = APIRouter(prefix="/v1", route_class=StripeRoute, include_in_schema=False)

EVIDENCE_TEXTS: Final = (
    "access_activity_log", "billing_address", "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_email_address", "customer_name", "customer_purchase_ip", "duplicate_charge_explanation",
    "product_description", "refund_policy_disclosure", "refund_refusal_explanation", "service_date",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number", "uncategorized_text",
)  # fmt: skip
"""Evidence that is a text; files are not taken here."""

_PAYOUT_STATUSES: Final[Mapping[str, tuple[PayoutStatus, ...]]] = {
    "pending": (PayoutStatus.PENDING,),
    "in_transit": (PayoutStatus.IN_TRANSIT,),
    "paid": (PayoutStatus.PAID,),
    "failed": (PayoutStatus.FAILED, PayoutStatus.RETURNED),
    "canceled": (PayoutStatus.CANCELLED,),
}
"""What a status of Stripe's is here."""


@router.get("/balance", tags=["balance"])
async def balance(request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    return JsonResponse(render.balance(await get_balance(caller.deps, caller.merchant_id)))


@router.get("/balance_transactions", tags=["balance"])
async def list_transactions(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    currency, source = given.text("currency"), given.text("source")
    window = window_of(given, "txn")
    given.done()
    found, has_more = await list_movements(
        caller.deps,
        caller.merchant_id,
        window,
        currency=currency.upper() if currency else None,
        payment_id=native_id("ch", source) if source else None,
    )
    url = "/v1/balance_transactions"
    return JsonResponse(render.object_list(url, found, has_more, render.balance_transaction))


@router.get("/balance_transactions/{transaction}", tags=["balance"])
async def retrieve_transaction(transaction: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_movement(caller.deps, caller.merchant_id, native_id("txn", transaction))
    return JsonResponse(render.balance_transaction(found))


@router.post("/payouts", tags=["balance"])
async def pay_out(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    amount, currency = given.integer("amount", least=1), given.required("currency").upper()
    if amount is None:
        raise InvalidParameter("Missing required param: amount.", "amount", "parameter_missing")
    if currency not in CURRENCIES:
        raise InvalidParameter(INVALID_CURRENCY, "currency", "invalid_currency")
    destination = given.text("destination")
    if destination is None:
        destination = (await get_terms(caller.deps, caller.merchant_id)).payout_destination
    if destination is None or not destination.startswith("ba_"):
        raise InvalidParameter(
            "Name a bank account (ba_…) as destination.", "destination", "payouts_not_allowed"
        )
    description, metadata = given.text("description"), given.metadata() or {}
    given.ignore("method", "source_type", "statement_descriptor")
    given.done()
    key = await key_of(request, caller.merchant_id)
    command = MakePayout(
        merchant_id=caller.merchant_id,
        key=key,
        amount_minor=amount,
        currency=currency,
        destination=destination,
        description=description,
        metadata=metadata,
    )
    return respond(await settled(lambda: make_payout(caller.deps, command)), render.payout)


@router.get("/payouts", tags=["balance"])
async def list_all_payouts(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "po")
    status, destination = given.choice("status", *_PAYOUT_STATUSES), given.text("destination")
    given.done()
    statuses = _PAYOUT_STATUSES[status] if status else ()
    page = await list_payouts(
        caller.deps, caller.merchant_id, window, statuses=statuses, destination=destination
    )
    shown = [payout_object(payout) for payout in page.items]
    return JsonResponse(render.object_list("/v1/payouts", shown, page.has_more, render.payout))


@router.get("/payouts/{payout}", tags=["balance"])
async def retrieve_payout(payout: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_payout(caller.deps, caller.merchant_id, payout)
    return JsonResponse(render.payout(payout_object(found)))


@router.post("/payouts/{payout}/cancel", tags=["balance"])
async def cancel(payout: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    key = await key_of(request, caller.merchant_id)
    answer = await settled(lambda: cancel_payout(caller.deps, caller.merchant_id, payout, key))
    return respond(answer, render.payout)


@router.post("/payouts/{payout}/reverse", tags=["balance"])
async def reverse(payout: str, request: Request, caller: Merchant) -> Response:
    """Money that left is only ever sent back by the bank that received it."""
    found = await get_payout(caller.deps, caller.merchant_id, payout)
    message = f"A payout that is {found.status} cannot be reversed; its bank may return it."
    return envelope(400, {"detail": message})


@router.get("/disputes", tags=["disputes"])
async def list_all_disputes(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "dp")
    intent, charge = given.text("payment_intent"), given.text("charge")
    given.done()
    payment_id = native_id("pi", intent) if intent else native_id("ch", charge) if charge else None
    page = await list_disputes(caller.deps, caller.merchant_id, window, payment_id=payment_id)
    shown = [dispute_object(dispute) for dispute in page.items]
    return JsonResponse(render.object_list("/v1/disputes", shown, page.has_more, render.dispute))


@router.get("/disputes/{dispute}", tags=["disputes"])
async def retrieve_dispute(dispute: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    found = await get_dispute(caller.deps, caller.merchant_id, dispute)
    return JsonResponse(render.dispute(dispute_object(found)))


@router.post("/disputes/{dispute}", tags=["disputes"])
async def give_evidence(dispute: str, request: Request, caller: Merchant) -> Response:
    """Evidence is submitted, once and for good, unless `submit` is false."""
    given = Parameters(await read_form(request))
    texts = given.nested("evidence")
    evidence = {name: texts.text(name, length_max=500) for name in EVIDENCE_TEXTS} if texts else {}
    if texts:
        texts.done()
    event = DisputeEvent.SUBMIT if given.flag("submit", default=True) else DisputeEvent.SAVE
    given.ignore("metadata")
    given.done()
    kept = {name: value for name, value in evidence.items() if value is not None}
    return await _answer(request, caller, dispute, event, kept)


@router.post("/disputes/{dispute}/close", tags=["disputes"])
async def close(dispute: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    return await _answer(request, caller, dispute, DisputeEvent.ACCEPT, {})


async def _answer(
    request: Request, caller: Caller, dispute: str, event: DisputeEvent, evidence: dict[str, str]
) -> Response:
    key = await key_of(request, caller.merchant_id)
    command = AnswerDispute(
        merchant_id=caller.merchant_id,
        dispute_id=dispute,
        key=key,
        event=event,
        evidence=evidence,
    )
    return respond(await settled(lambda: answer_dispute(caller.deps, command)), render.dispute)
