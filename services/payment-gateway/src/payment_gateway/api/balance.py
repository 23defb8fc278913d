"""Balances, their transactions, payouts, and merchants' terms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Administrator, GatewayDeps, Merchant
from payment_gateway.api.documented import KEYED, MONEY, READ, WRITE
from payment_gateway.api.lists import CreatedFrom, CreatedTo
from payment_gateway.api.payments import respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.fields import Currency
from payment_gateway.api.schemas.money import CancelPayoutBody, PayoutBody, TermsBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.fees import plan_of
from payment_gateway.domain.payout import PayoutStatus, payout_object
from payment_gateway.domain.reserve import ReservePlan, reserve_object
from payment_gateway.domain.terms import Terms
from payment_gateway.operations.find_balance import TRANSACTION_ID, get_balance, list_movements, put_terms
from payment_gateway.operations.make_payout import (
    MakePayout,
    cancel_payout,
    get_payout,
    list_payouts,
    make_payout,
)
from payment_gateway.operations.release_reserves import list_reserves
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1", tags=["balance"], route_class=VersionedRoute)

Limit = Annotated[int, Query(ge=1, le=100)]
PayoutCursor = Annotated[str | None, Query(max_length=64, pattern=r"^po_[0-9a-z_]{1,60}$")]
ReserveCursor = Annotated[str | None, Query(max_length=64, pattern=r"^rsv_[0-9a-z]{26}$")]
TransactionCursor = Annotated[str | None, Query(max_length=64, pattern=rf"^{TRANSACTION_ID.pattern}$")]


@router.get("/balance", responses=READ | answer("Balance"))
async def balance(caller: Merchant) -> Response:
    """What is pending, available, in reserve, disputed and on its way out, per currency."""
    return JsonResponse(await get_balance(caller.deps, caller.merchant_id))


@router.get("/balance-transactions", responses=READ | answer("BalanceTransactionPage"))
async def transactions(
    caller: Merchant,
    limit: Limit = 20,
    cursor: TransactionCursor = None,
    currency: Annotated[Currency | None, Query()] = None,
    payment_id: Annotated[str | None, Query(max_length=64, pattern=r"^pay_[0-9a-z]{26}$")] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response:
    """Every movement of the pending and available balances, newest first; `next_cursor` continues."""
    window = Window(limit, before=cursor, created_from=created_from, created_to=created_to)
    found, has_more = await list_movements(
        caller.deps, caller.merchant_id, window, currency=currency, payment_id=payment_id
    )
    return JsonResponse({"data": list(found), "next_cursor": found[-1]["id"] if has_more else None})


@router.get("/reserves", responses=READ | answer("ReservePage"))
async def reserves(caller: Merchant, limit: Limit = 20, cursor: ReserveCursor = None) -> Response:
    """What settlements kept back and when it is released, newest first; `next_cursor` continues."""
    page = await list_reserves(caller.deps, caller.merchant_id, Window(limit, before=cursor))
    shown = [reserve_object(reserve) for reserve in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@router.post("/payouts", status_code=201, responses=MONEY | answer("Payout", 201), openapi_extra=KEYED)
async def pay_out(body: PayoutBody, request: Request, caller: Merchant) -> Response:
    """Pay (a part of) the available balance out to a bank account."""
    command = MakePayout(
        merchant_id=caller.merchant_id,
        key=await request_key(request),
        amount_minor=body.amount_minor,
        currency=body.currency,
        destination=body.destination,
        description=body.description,
        metadata=body.metadata,
    )
    return respond(await make_payout(caller.deps, command))


@router.get("/payouts", responses=READ | answer("PayoutPage"))
async def list_all(
    caller: Merchant,
    limit: Limit = 20,
    cursor: PayoutCursor = None,
    status: PayoutStatus | None = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response:
    """Payouts, newest first; `next_cursor` continues."""
    window = Window(limit, before=cursor, created_from=created_from, created_to=created_to)
    statuses = (status,) if status else ()
    page = await list_payouts(caller.deps, caller.merchant_id, window, statuses=statuses)
    shown = [payout_object(payout) for payout in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@router.get("/payouts/{payout_id}", responses=READ | answer("Payout"))
async def get(payout_id: str, caller: Merchant) -> Response:
    """One payout."""
    return JsonResponse(payout_object(await get_payout(caller.deps, caller.merchant_id, payout_id)))


@router.post("/payouts/{payout_id}/cancel", responses=MONEY | answer("Payout", 200), openapi_extra=KEYED)
async def cancel(
    payout_id: str, request: Request, caller: Merchant, body: CancelPayoutBody | None = None
) -> Response:
    """Cancel a payout that is not sent."""
    key = await request_key(request)
    return respond(await cancel_payout(caller.deps, caller.merchant_id, payout_id, key))


@router.put("/merchants/{merchant_id}/terms", responses=WRITE | answer("Terms"))
async def terms(merchant_id: str, body: TermsBody, deps: GatewayDeps, admin: Administrator) -> Response:
    """How a merchant is settled and paid out, and its fees. For the administrator."""
    plan = plan_of(body.fee_plan.model_dump()) if body.fee_plan else None
    reserve = ReservePlan(**body.reserve.model_dump()) if body.reserve else None
    wanted = Terms(
        body.settlement_delay_days, body.payout_destination, plan, body.settlement_currency, reserve
    )
    await put_terms(deps, merchant_id, wanted, admin)
    return JsonResponse({"merchant_id": merchant_id, **body.model_dump()})
