"""Assessments: make one, read one, list the newest."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from platform_kit.ids import is_id
from platform_kit.problems import InvalidRequest
from risk_engine.api.authentication import require_internal
from risk_engine.api.schemas import AssessmentAnswer, AssessmentRequest
from risk_engine.domain.decision import Decision
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.find_assessments import find_assessment, find_assessments

router = APIRouter(
    prefix="/v1/assessments",
    tags=["assessments"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)


@router.post("", responses={200: {"model": AssessmentAnswer}})
async def create_assessment(body: AssessmentRequest, request: Request) -> Response:
    """Decide about a payment. The same merchant and key get the same answer, also after a crash."""
    deps = request.app.state.deps
    return JsonResponse(await assess_payment(deps, body.subject(deps.clock.now())))


@router.get("", responses=answer("AssessmentPage"))
async def list_assessments(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    decision: Decision | None = None,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """The newest assessments; `next_cursor` leads to older ones."""
    if cursor is not None and not is_id("asm", cursor):
        raise InvalidRequest("Send the `next_cursor` of the page before.")
    return JsonResponse(await find_assessments(request.app.state.deps, decision, cursor, limit))


@router.get("/{assessment_id}", responses=answer("AssessmentRecord"))
async def get_assessment(assessment_id: str, request: Request) -> Response:
    """One assessment with everything that was recorded: request, facts, hits, timings."""
    return JsonResponse(await find_assessment(request.app.state.deps, assessment_id))
