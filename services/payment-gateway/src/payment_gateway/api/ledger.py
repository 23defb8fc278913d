"""The ledger by itself: accounts, transfers, verification."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import StringConstraints
from starlette.responses import Response

from payment_gateway.api.access import Caller, GatewayDeps, Merchant, require_admin
from payment_gateway.api.documented import KEYED, MONEY, READ
from payment_gateway.api.payments import respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.fields import Currency
from payment_gateway.api.schemas.ledger import (
    AccountBody,
    AccountSlug,
    AnyTransferBody,
    LineBody,
    PostHoldBody,
    ReverseBody,
    TransferBody,
    UnlinkedTransfersBody,
    VoidHoldBody,
)
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.ledger import BOOKS, Account, AccountName
from payment_gateway.domain.ledger_hold import HoldState
from payment_gateway.domain.objects import hold_object
from payment_gateway.operations.balance_as_of import balance_of, transfers_page
from payment_gateway.operations.look_into_ledger import (
    get_hold,
    list_account_holds,
    list_account_transfers,
    list_accounts,
)
from payment_gateway.operations.look_into_ledger import get_journal as find_journal
from payment_gateway.operations.reverse_journal import ReverseJournal, reverse_journal
from payment_gateway.operations.settle_ledger_holds import SettleHold, settle_hold
from payment_gateway.operations.transfer_each import TransferEach, transfer_each
from payment_gateway.operations.transfer_funds import (
    Line,
    TransferFunds,
    open_account,
    own_account,
    transfer_funds,
)
from payment_gateway.operations.verify_ledger import verify_ledger
from platform_kit.app import JsonResponse
from platform_kit.clock import isoformat
from platform_kit.contract import answer
from platform_kit.idempotency import IdempotencyKey
from platform_kit.moments import Moment
from platform_kit.problems import NotFound

HoldId = Annotated[str, Path(pattern=r"^hld_[0-9a-z]{26}$")]
JournalId = Annotated[str, Path(pattern=r"^je_[0-9a-z]{26}$")]

PageSize = Annotated[int, Query(ge=1, le=100)]
Label = Annotated[str, StringConstraints(pattern=r"^[^:\x00]{1,100}:[^\x00]{0,500}$")]
# The second form was given out by releases of before 27 November 2026, and names the owner as the platform keeps it.
ACCOUNT_CURSOR = r"^(own|payments|(ledger|merchant):[0-9a-z_]{1,60}):[a-z0-9_.-]{1,64}:[A-Z]{3}$"

TRANSFERS_PATH = "/v1/ledger/transfers"
TRANSFERS_MAX_BYTES = 256 * 1024  # 1,000 linked transfers between accounts with the longest names fit

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=VersionedRoute)


@router.post("/accounts", status_code=201, responses=MONEY | answer("NewAccount", 201))
async def open_one(body: AccountBody, caller: Merchant) -> Response:
    """Open an account. One that is open with the same bounds stays as it is; with others: 409."""
    name = own_account(caller.merchant_id, body.name, body.currency)
    await open_account(caller.deps, name, body.floor_minor, body.ceiling_minor)
    return JsonResponse(body.model_dump(), 201)


@router.get("/accounts", responses=READ | answer("AccountPage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[str | None, Query(pattern=ACCOUNT_CURSOR)] = None,
) -> Response:
    """The merchant's accounts by name, with posted and pending counters in minor units; then those of its payments."""
    after = _account_after(caller.merchant_id, cursor) if cursor else None
    found = await list_accounts(caller.deps, caller.merchant_id, after, limit)
    last = found.items[-1].name if found.has_more else None
    return JsonResponse(
        {
            "data": [_account_object(caller.merchant_id, account) for account in found.items],
            "next_cursor": f"{last.book}:{last.kind}:{last.currency}" if last else None,
        }
    )


def _account_after(merchant_id: str, cursor: str) -> AccountName:
    book, kind, currency = cursor.rsplit(":", 2)
    return AccountName(f"{BOOKS[book]}:{merchant_id}" if book in BOOKS else book, kind, currency)


@router.get("/accounts/{name}/transfers", responses=READ | answer("AccountTransferPage"))
async def list_transfers_of(
    name: Annotated[AccountSlug, Path()],
    currency: Annotated[Currency, Query()],
    caller: Merchant,
    limit: PageSize = 20,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """What touched an account, newest first. `version` counts it: each moved the account from the one before."""
    found = await list_account_transfers(caller.deps, caller.merchant_id, name, currency, cursor, limit)
    return JsonResponse(
        {
            "data": [transfer_object(row) | {"version": row.version} for row in found.items],
            "next_cursor": str(found.items[-1].version) if found.has_more else None,
        }
    )


@router.get("/accounts/{name}/holds", responses=READ | answer("HoldPage"))
async def list_holds_of(
    name: Annotated[AccountSlug, Path()],
    currency: Annotated[Currency, Query()],
    caller: Merchant,
    state: Annotated[HoldState | None, Query()] = None,
    limit: PageSize = 20,
    cursor: Annotated[str | None, Query(pattern=r"^hld_[0-9a-z]{26}$")] = None,
) -> Response:
    """Holds from or to an account, newest first."""
    found = await list_account_holds(caller.deps, caller.merchant_id, name, currency, state, cursor, limit)
    return JsonResponse(
        {
            "data": [hold_object(hold) for hold in found.items],
            "next_cursor": found.items[-1].id if found.has_more else None,
        }
    )


@router.get("/holds/{hold_id}", responses=READ | answer("Hold"))
async def get_one_hold(hold_id: HoldId, caller: Merchant) -> Response:
    """A hold as it now stands."""
    return JsonResponse(hold_object(await get_hold(caller.deps, caller.merchant_id, hold_id)))


@router.get("/accounts/{name}/balance", responses=READ | answer("AccountBalance"))
async def balance_as_of(
    name: Annotated[AccountSlug, Path()],
    currency: Annotated[Currency, Query()],
    caller: Merchant,
    effective_at: Annotated[Moment | None, Query()] = None,
    recorded_at: Annotated[Moment | None, Query()] = None,
) -> Response:
    """The balance as it was: by the time that things count from, by the time that they were written, or both."""
    account = own_account(caller.merchant_id, name, currency)
    found = await balance_of(caller.deps, caller.merchant_id, account, effective_at, recorded_at)
    if found is None:
        raise NotFound(f"There is no account {name} in {currency}.")
    return JsonResponse(
        {
            "object": "balance",
            "name": name,
            "currency": currency,
            "posted_minor": found.posted_minor,
            "held_minor": found.held_minor,
            "available_minor": found.available_minor,
        }
    )


@router.post(
    "/transfers",
    status_code=201,
    responses=MONEY | answer("TransferBatch", 200) | answer("Transfer", 201),
    openapi_extra=KEYED,
)
async def transfer(body: AnyTransferBody, request: Request, caller: Merchant) -> Response:
    """Move money between the merchant's own accounts: one transfer, one hold, or up to 1,000 transfers. Those are
    linked (all in one journal or none; 201), or with `"linked": false` each has its own result (200). Ten of them take
    one token of the rate limit."""
    key = await request_key(request)
    if not isinstance(body, TransferBody):
        await caller.deps.limits.admit_batch(caller.key_id, len(body.transfers))
    if isinstance(body, UnlinkedTransfersBody):
        each = tuple(_single(caller, key, one) for one in body.transfers)
        return respond(await transfer_each(caller.deps, TransferEach(caller.merchant_id, key, each)))
    if isinstance(body, TransferBody):
        return respond(await transfer_funds(caller.deps, _single(caller, key, body)))
    command = TransferFunds(
        merchant_id=caller.merchant_id,
        key=key,
        lines=tuple(_line(line) for line in body.transfers),
        linked=True,
        effective_at=body.effective_at,
        description=body.description,
        metadata=body.metadata,
    )
    return respond(await transfer_funds(caller.deps, command))


def _single(caller: Caller, key: IdempotencyKey, body: TransferBody) -> TransferFunds:
    return TransferFunds(
        merchant_id=caller.merchant_id,
        key=key,
        lines=(_line(body),),
        pending=body.pending,
        expires_at=body.expires_at,
        expires_after_s=body.expires_after_s,
        effective_at=body.effective_at,
        description=body.description,
        metadata=body.metadata,
    )


def _line(body: LineBody) -> Line:
    return Line(body.debit_account, body.credit_account, body.amount_minor, body.currency)


@router.get("/transfers", responses=READ | answer("LedgerTransferPage"))
async def list_transfers(
    caller: Merchant,
    limit: PageSize = 20,
    cursor: Annotated[str | None, Query(pattern=r"^je_[0-9a-z]{26}$")] = None,
    label: Annotated[
        list[Label], Query(max_length=5, description="only of journals with this metadata")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Transfers of the newest journals, whole journals at a time (`limit` counts journals); `next_cursor` goes on.
    `label=order:1001` is for journals whose metadata has that, several for those that have all of them."""
    labels = dict(one.split(":", 1) for one in label)
    rows = await transfers_page(caller.deps, caller.merchant_id, cursor, limit, labels)
    journals = list(dict.fromkeys(row.journal_id for row in rows))
    shown = [transfer_object(row) for row in rows]
    return JsonResponse({"data": shown, "next_cursor": journals[-1] if len(journals) == limit else None})


@router.get("/journals/{journal_id}", responses=READ | answer("LedgerJournal"))
async def get_journal(journal_id: JournalId, caller: Merchant) -> Response:
    """What one journal moved, and which one took it back."""
    rows = await find_journal(caller.deps, caller.merchant_id, journal_id)
    return JsonResponse(
        {
            "id": journal_id,
            "object": "journal",
            "transfers": [transfer_object(row) for row in rows],
            "reverses": rows[0].reverses,
            "reversed_by": rows[0].reversed_by,
            "created_at": isoformat(rows[0].recorded_at),
        }
    )


@router.post(
    "/holds/{hold_id}/post",
    status_code=201,
    responses=MONEY | answer("SettledHold", 201),
    openapi_extra=KEYED,
)
async def post_hold(hold_id: HoldId, body: PostHoldBody, request: Request, caller: Merchant) -> Response:
    """Move a part of a hold, or all that remains of it."""
    return await _settle(request, caller, hold_id, body.amount_minor, voids=False)


@router.post(
    "/holds/{hold_id}/void",
    status_code=201,
    responses=MONEY | answer("SettledHold", 201),
    openapi_extra=KEYED,
)
async def void_hold(hold_id: HoldId, body: VoidHoldBody, request: Request, caller: Merchant) -> Response:
    """Give back what remains of a hold."""
    return await _settle(request, caller, hold_id, None, voids=True)


async def _settle(
    request: Request, caller: Merchant, hold_id: str, amount_minor: int | None, *, voids: bool
) -> Response:
    command = SettleHold(
        caller.merchant_id,
        await request_key(request),
        hold_id,
        amount_minor,
        voids,
    )
    return respond(await settle_hold(caller.deps, command))


@router.post(
    "/journals/{journal_id}/reverse",
    status_code=201,
    responses=MONEY | answer("Reversal", 201),
    openapi_extra=KEYED,
)
async def reverse(journal_id: JournalId, body: ReverseBody, request: Request, caller: Merchant) -> Response:
    """Take a journal back by a new one, once; nothing is edited."""
    command = ReverseJournal(
        caller.merchant_id,
        await request_key(request),
        journal_id,
        body.reason,
    )
    return respond(await reverse_journal(caller.deps, command))


@router.get("/verification", dependencies=[Depends(require_admin)], responses=READ | answer("Verification"))
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
            "unproved_transfers": list(found.unproved),
            "wrong_journals": list(found.wrong_journals),
            "chain": {
                "length": found.chain.length,
                "broken_at": found.chain.broken_at,
                "behind": found.chain.behind,
                "lag_s": round(found.chain.lag_s, 3),
            },
            "fx_rounding": [
                {
                    "currency": one.currency,
                    "booked_minor": one.booked_minor,
                    "carried_atto": one.carried_atto,
                    "conversions": one.conversions,
                    "explained": one.explained,
                }
                for one in found.roundings
            ],
        }
    )


def _account_object(merchant_id: str, account: Account) -> dict[str, Any]:
    return {
        "object": "account",
        "merchant_id": merchant_id,
        "book": account.name.book,
        "name": account.name.kind,
        "currency": account.name.currency,
        "available_minor": account.available_minor,
        "debits_posted_minor": account.debits_posted,
        "credits_posted_minor": account.credits_posted,
        "debits_pending_minor": account.debits_pending,
        "credits_pending_minor": account.credits_pending,
        "floor_minor": account.floor_minor,
        "ceiling_minor": account.ceiling_minor,
        "version": account.version,
    }


def transfer_object(row: Any) -> dict[str, Any]:
    """A row of the ledger as its merchant sees it."""
    return {
        "object": "transfer",
        "journal_id": row.journal_id,
        "debit_account": row.debit,
        "credit_account": row.credit,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "kind": row.kind,
        "hold_id": row.hold_id,
        "effective_at": isoformat(row.effective_at),
        "recorded_at": isoformat(row.recorded_at),
        "reverses": row.reverses,
        "reason": row.reason,
        "description": row.description,
        "metadata": row.metadata,
    }
