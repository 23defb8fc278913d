"""Proof that what was decided stands: decide again from what was stored, and recompute the hash chain."""

from fastapi import APIRouter, Depends, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from platform_kit.ids import is_id
from platform_kit.problems import InvalidRequest
from risk_engine.api.authentication import require_reader
from risk_engine.api.schemas.proofs import ChainCheckRequest, ReplayRequest
from risk_engine.operations.chain_assessments import check_chain
from risk_engine.operations.replay_decisions import replay_decisions

router = APIRouter(tags=["proofs"], route_class=StrictRoute, dependencies=[Depends(require_reader)])


@router.post("/v1/replays", responses=answer("Replay"))
async def replay(body: ReplayRequest, request: Request) -> Response:
    """Decide a slice of stored decisions again; `next_after` leads to the next slice."""
    if body.after is not None and not is_id("asm", body.after):
        raise InvalidRequest("Send the `next_after` of the slice before.")
    return JsonResponse(await replay_decisions(request.app.state.deps, body.after, body.limit))


@router.post("/v1/chain-checks", responses=answer("ChainCheck"))
async def check(body: ChainCheckRequest, request: Request) -> Response:
    """Recompute a slice of the hash chain over assessments; `broken_at` is where it does not hold."""
    return JsonResponse(await check_chain(request.app.state.deps, body.after, body.limit))
