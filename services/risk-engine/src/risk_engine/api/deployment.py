"""What decides now: the live rule set and a challenger on trial, how they differ, and the way back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import Lead, require_reader
from risk_engine.operations.publish_rule_set import end_trial, publication_history, roll_back, trial_report

router = APIRouter(prefix="/v1/deployment", tags=["rule sets"], route_class=StrictRoute)
READ = [Depends(require_reader)]


@router.post("/end-trial", responses=answer("Publication") | problems({409: "no-trial: nothing is on trial"}))
async def stop_trial(request: Request, by: Lead) -> Response:
    """Let the live set decide alone again."""
    return JsonResponse((await end_trial(request.app.state.deps, by)).as_answer())


@router.post(
    "/rollback", responses=answer("Publication") | problems({409: "nothing-before: it is the first"})
)
async def rollback(request: Request, by: Lead) -> Response:
    """Make the set live again that decided before this one."""
    return JsonResponse((await roll_back(request.app.state.deps, by)).as_answer())


@router.get(
    "/trial", dependencies=READ, responses=answer("Trial") | problems({409: "no-trial: nothing is on trial"})
)
async def get_trial(request: Request) -> Response:
    """How the challenger differs from the live set so far, with the 95 % interval of the change in alert rate."""
    return JsonResponse(await trial_report(request.app.state.deps))


@router.get("/history", dependencies=READ, responses=answer("PublicationList"))
async def get_history(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """Everything that ever decided, newest first: who made it so, and when."""
    return JsonResponse({"data": await publication_history(request.app.state.deps, limit)})
