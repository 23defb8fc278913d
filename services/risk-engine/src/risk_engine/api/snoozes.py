"""Snoozes: a rule that does not count for one card, customer, device or address until a time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import Lead, require_reader
from risk_engine.api.schemas.snoozes import NewSnooze
from risk_engine.operations.snooze_rules import end_snooze, list_snoozes, snooze_rule

router = APIRouter(prefix="/v1/snoozes", tags=["snoozes"], route_class=StrictRoute)


@router.post("", status_code=201, responses=answer("Snooze", 201))
async def snooze(body: NewSnooze, request: Request, actor: Lead) -> Response:
    """Snooze a rule for what the payment of an assessment has; every process leaves its hits out within two seconds."""
    made = await snooze_rule(
        request.app.state.deps,
        actor,
        rule=body.rule,
        by=body.by,
        assessment_id=body.assessment_id,
        until=body.until,
        reason=body.reason,
    )
    return JsonResponse(made, 201)


@router.get("", responses=answer("SnoozePage"), dependencies=[Depends(require_reader)])
async def get_snoozes(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(pattern=r"^snz_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """Newest first, also those that are over."""
    return JsonResponse(await list_snoozes(request.app.state.deps, cursor, limit))


@router.post("/{snooze_id}/end", responses=answer("Snooze"))
async def end(snooze_id: str, request: Request, actor: Lead) -> Response:
    """Let the rule count again."""
    return JsonResponse(await end_snooze(request.app.state.deps, actor, snooze_id))
