"""Thresholds from costs: simulated on what happened, proposed, never applied by themselves."""

from fastapi import APIRouter, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import Analyst
from risk_engine.api.schemas.thresholds import ThresholdQuestion
from risk_engine.operations.propose_thresholds import propose_thresholds

router = APIRouter(prefix="/v1/threshold-proposals", tags=["rule sets"], route_class=StrictRoute)


@router.post(
    "",
    responses=answer("ThresholdProposal") | problems({404: "not-found: make the list of merchants first"}),
)
async def propose(body: ThresholdQuestion, request: Request, by: Analyst) -> Response:
    """What mistakes cost, and the scores from which reviewing, challenging and blocking cost least."""
    deps = request.app.state.deps
    return JsonResponse(await propose_thresholds(deps, body.question(deps.clock.now())))
