"""Disputes: parse, one operation, render."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.documented import KEYED, MONEY, READ
from payment_gateway.api.lists import CreatedFrom, CreatedTo
from payment_gateway.api.payments import respond
from payment_gateway.api.request_key import request_key
from payment_gateway.api.schemas.money import AcceptBody, EvidenceBody
from payment_gateway.api.versions import VersionedRoute
from payment_gateway.domain.dispute import DisputeEvent, DisputeStatus, dispute_object
from payment_gateway.operations.answer_dispute import (
    AnswerDispute,
    answer_dispute,
    get_dispute,
    list_disputes,
)
from payment_gateway.store.pages import Window
from platform_kit.app import JsonResponse
from platform_kit.contract import answer

router = APIRouter(prefix="/v1/disputes", tags=["disputes"], route_class=VersionedRoute)


@router.get("", responses=READ | answer("DisputePage"))
async def list_all(
    caller: Merchant,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^dp_[0-9a-z_]{1,60}$")] = None,
    payment_id: Annotated[str | None, Query(max_length=64, pattern=r"^pay_[0-9a-z]{26}$")] = None,
    status: DisputeStatus | None = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response:
    """Disputes, newest first; `next_cursor` continues."""
    window = Window(limit, before=cursor, created_from=created_from, created_to=created_to)
    page = await list_disputes(caller.deps, caller.merchant_id, window, payment_id=payment_id, status=status)
    shown = [dispute_object(dispute) for dispute in page.items]
    return JsonResponse({"data": shown, "next_cursor": page.next_before})


@router.get("/{dispute_id}", responses=READ | answer("Dispute"))
async def get(dispute_id: str, caller: Merchant) -> Response:
    """One dispute."""
    return JsonResponse(dispute_object(await get_dispute(caller.deps, caller.merchant_id, dispute_id)))


@router.post("/{dispute_id}/evidence", responses=MONEY | answer("Dispute", 200, 202), openapi_extra=KEYED)
async def give_evidence(dispute_id: str, body: EvidenceBody, request: Request, caller: Merchant) -> Response:
    """Save evidence, or submit it: then the bank decides."""
    event = DisputeEvent.SUBMIT if body.submit else DisputeEvent.SAVE
    command = await _command(dispute_id, request, caller, event, body.evidence)
    return respond(await answer_dispute(caller.deps, command))


@router.post("/{dispute_id}/accept", responses=MONEY | answer("Dispute", 200, 202), openapi_extra=KEYED)
async def accept(
    dispute_id: str, request: Request, caller: Merchant, body: AcceptBody | None = None
) -> Response:
    """Give in: the dispute is lost."""
    command = await _command(dispute_id, request, caller, DisputeEvent.ACCEPT, {})
    return respond(await answer_dispute(caller.deps, command))


async def _command(
    dispute_id: str, request: Request, caller: Caller, event: DisputeEvent, evidence: dict[str, str]
) -> AnswerDispute:
    return AnswerDispute(
        merchant_id=caller.merchant_id,
        dispute_id=dispute_id,
        key=await request_key(request),
        event=event,
        evidence=evidence,
    )
