"""Doors for channels and services, not for merchants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import GatewayDeps, Operator, engine_of, require_internal
from payment_gateway.api.documented import READ
from payment_gateway.api.schemas.suspense import CorrectionBody
from payment_gateway.domain.suspense import Direction, Suspense, suspense_id
from payment_gateway.operations.correct_channel import CorrectChannel, correct_channel
from payment_gateway.operations.receive_channel_event import receive_channel_event
from payment_gateway.operations.tell_ledger import tell_balances, tell_journal
from payment_gateway.operations.total_ledger import total_ledger
from payment_gateway.store.tables import outbox
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from platform_kit.outbox import events_router

router = APIRouter(tags=["internal"])
router.include_router(events_router(engine_of, outbox, require_internal))
corrections = APIRouter(route_class=StrictRoute)  # a channel's report is bytes that it signed; this is JSON


@router.post("/internal/channel-events/{channel}", status_code=200, include_in_schema=False)
async def receive(channel: str, request: Request, deps: GatewayDeps) -> Response:
    """A channel's signed report. Answered after it is durable, 202 when it waits for what it is about; a duplicate is
    answered alike."""
    applied = await receive_channel_event(deps, channel, request.headers, await request.body())
    return JsonResponse({"received": True}, 200 if applied else 202)


@router.get(
    "/internal/ledger/totals", dependencies=[Depends(require_internal)], responses=answer("LedgerTotals")
)
async def totals(deps: GatewayDeps) -> Response:
    """What the ledger has moved by currency as of the last numbered event: what its reader must have, too."""
    position, moved = await total_ledger(deps)
    return JsonResponse(
        {
            "position": position,
            "currencies": [{"currency": name, "moved_minor": amount} for name, amount in moved.items()],
        }
    )


@router.get(
    "/internal/ledger/balances",
    dependencies=[Depends(require_internal)],
    responses=READ | answer("LedgerBalances"),
)
async def balances(
    deps: GatewayDeps,
    after: Annotated[str, Query(max_length=300, pattern=r"^([^\x00]+:[A-Z]{3})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=2000)] = 2000,
) -> Response:
    """Accounts by name and currency after `after` (`platform:fees:EUR`), each as of the last numbered event."""
    account, _, currency = after.rpartition(":")
    return JsonResponse(await tell_balances(deps, (account, currency), limit))


@router.get(
    "/internal/ledger/journals/{journal_id}",
    dependencies=[Depends(require_internal)],
    responses=READ | answer("ToldJournal"),
)
async def journal(journal_id: str, deps: GatewayDeps) -> Response:
    """What events do not tell of a journal: reversals, reason, metadata, and the links of its lines in the chain."""
    return JsonResponse(await tell_journal(deps, journal_id))


@corrections.post("/internal/corrections", status_code=201, include_in_schema=False)
async def correct(body: CorrectionBody, by: Operator, deps: GatewayDeps) -> Response:
    """What a person decided about a break of the reconciliation, in the ledger and in the audit log under their name.
    The same reference again changes nothing."""
    item = Suspense(
        id=suspense_id(body.channel, body.reference),
        channel=body.channel,
        reference=body.reference,
        direction=Direction(body.direction),
        amount_minor=body.amount_minor,
        currency=body.currency,
        note=body.note,
        created_at=datetime.now(UTC),
    )
    return JsonResponse(await correct_channel(deps, CorrectChannel(item, body.write_off), by), 201)


router.include_router(corrections)
