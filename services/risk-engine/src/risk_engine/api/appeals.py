"""Appeals: what a merchant or cardholder asks against a decision, and what a person said."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import require_reader, who_records
from risk_engine.api.schemas.appeals import NewAppeal
from risk_engine.api.schemas.fields import Id
from risk_engine.domain.appeals import AppealStatus
from risk_engine.operations import make_appeal

router = APIRouter(prefix="/v1/appeals", tags=["appeals"], route_class=StrictRoute)


@router.post("", status_code=201, responses=answer("Appeal", 201) | answer("Appeal"))
async def appeal(
    body: NewAppeal, request: Request, recorded_by: Annotated[str, Depends(who_records)]
) -> Response:
    """Ask that a person look again: passed on by the platform's services, or written down by who works cases. 200 with
    what came of it for an appeal that was made before; the answer to one is final."""
    made, is_new = await make_appeal.make_appeal(
        request.app.state.deps,
        recorded_by,
        merchant_id=body.merchant_id,
        assessment_id=body.assessment_id,
        by=body.by,
        reason=body.reason,
    )
    return JsonResponse(made, 201 if is_new else 200)


@router.get("", responses=answer("AppealPage"), dependencies=[Depends(require_reader)])
async def get_appeals(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    merchant_id: Annotated[Id | None, Query()] = None,
    status: AppealStatus | None = None,
    cursor: Annotated[str | None, Query(pattern=r"^apl_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """Newest first."""
    page = await make_appeal.list_appeals(
        request.app.state.deps, merchant_id=merchant_id, status=status, cursor=cursor, limit=limit
    )
    return JsonResponse(page)


@router.get("/{appeal_id}", responses=answer("Appeal"), dependencies=[Depends(require_reader)])
async def get_appeal(appeal_id: str, request: Request) -> Response:
    """How it stands. It is decided as a case, `case_id`."""
    return JsonResponse(await make_appeal.show_appeal(request.app.state.deps, appeal_id))
