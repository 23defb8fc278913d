"""Drift of the model's inputs and of its score."""

from fastapi import APIRouter, Depends, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import Lead, require_reader
from risk_engine.operations.watch_drift import pin_reference, read_drift

router = APIRouter(prefix="/v1", tags=["drift"], route_class=StrictRoute)
TOO_FEW = problems({409: "nothing-to-compare: too few decisions of the last day by the loaded model"})


@router.get("/drift", responses=answer("Drift") | TOO_FEW, dependencies=[Depends(require_reader)])
async def get_drift(request: Request) -> Response:
    """A sample of the last day against the reference, what moved most first."""
    return JsonResponse(await read_drift(request.app.state.deps))


@router.post("/drift-references", status_code=201, responses=answer("DriftReference", 201) | TOO_FEW)
async def pin(request: Request, actor: Lead) -> Response:
    """What is seen today is as it should be: compare with it from now on."""
    return JsonResponse(await pin_reference(request.app.state.deps, actor), 201)
