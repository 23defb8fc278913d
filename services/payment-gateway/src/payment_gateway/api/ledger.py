"""The ledger by itself: accounts, transfers, verification."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Merchant, require_admin
from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.documented import MONEY, READ, WRITE
from payment_gateway.api.payments import respond
from payment_gateway.api.schemas.ledger import AccountBody, TransferBody
from payment_gateway.domain.ledger import Account
from payment_gateway.operations.transfer_funds import (
    TransferFunds,
    list_accounts,
    open_account,
    own_account,
    transfer_funds,
)
from payment_gateway.operations.verify_ledger import verify_ledger
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.idempotency import fingerprint_of

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=StrictRoute)


@router.post("/accounts", status_code=201, responses=WRITE)
async def open_one(body: AccountBody, caller: Merchant) -> Response:
    """Open an account; one that is open already stays as it is."""
    await open_account(
        caller.deps, own_account(caller.merchant_id, body.name, body.currency), body.floor_minor
    )
    return JsonResponse(body.model_dump(), 201)


@router.get("/accounts", responses=READ)
async def list_all(caller: Merchant) -> Response:
    """The merchant's accounts with posted and pending counters in minor units."""
    return JsonResponse(
        {
            "data": [
                _account_object(account) for account in await list_accounts(caller.deps, caller.merchant_id)
            ]
        }
    )


@router.post("/transfers", status_code=201, responses=MONEY)
async def transfer(body: TransferBody, request: Request, caller: Merchant) -> Response:
    """Move money between two of the merchant's own accounts."""
    command = TransferFunds(
        merchant_id=caller.merchant_id,
        key=idempotency_key_of(request),
        fingerprint=fingerprint_of(request.scope["path"], await request.body()),
        debit=body.debit_account,
        credit=body.credit_account,
        amount_minor=body.amount_minor,
        currency=body.currency,
    )
    return respond(await transfer_funds(caller.deps, command))


@router.get("/verification", dependencies=[Depends(require_admin)], responses=READ)
async def verify(deps: GatewayDeps) -> Response:
    """Recompute every balance from its rows, in one snapshot."""
    found = await verify_ledger(deps)
    return JsonResponse(
        {
            "balanced": found.balanced,
            "accounts": found.accounts,
            "transfers": found.transfers,
            "currencies": list(found.currencies),
            "differences": [f"{name} {name.currency}" for name in found.differences],
        }
    )


def _account_object(account: Account) -> dict[str, Any]:
    return {
        "object": "account",
        "name": str(account.name),
        "currency": account.name.currency,
        "available_minor": account.available_minor,
        "debits_posted_minor": account.debits_posted,
        "credits_posted_minor": account.credits_posted,
        "debits_pending_minor": account.debits_pending,
        "credits_pending_minor": account.credits_pending,
        "floor_minor": account.floor_minor,
    }
