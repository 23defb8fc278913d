"""Backtests: ask for one, see how far it is and what it found."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import Analyst, require_reader
from risk_engine.api.schemas.backtests import BacktestRequest
from risk_engine.operations.backtest_rule_set import ask_for_backtest, get_backtest, list_backtests

router = APIRouter(prefix="/v1/backtests", tags=["rule sets"], route_class=StrictRoute)
READ = [Depends(require_reader)]
HASH = r"^[0-9a-f]{64}$"


@router.post(
    "", status_code=202, responses=answer("Backtest", 202) | problems({404: "not-found: save the set first"})
)
async def create_backtest(body: BacktestRequest, request: Request, by: Analyst) -> Response:
    """Have a saved set tried on stored decisions; poll the object until `status` is done or failed."""
    deps = request.app.state.deps
    since, until = body.period(deps.clock.now())
    return JsonResponse(await ask_for_backtest(deps, body.rule_set, since, until, by), 202)


@router.get("", dependencies=READ, responses=answer("BacktestList"))
async def get_backtests(
    request: Request,
    rule_set: Annotated[str | None, Query(pattern=HASH)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """The newest backtests, of one set if you name it."""
    return JsonResponse({"data": await list_backtests(request.app.state.deps, rule_set, limit)})


@router.get("/{backtest_id}", dependencies=READ, responses=answer("Backtest"))
async def get_one(
    backtest_id: Annotated[str, Path(pattern=r"^btr_[0-9a-hjkmnp-tv-z]{26}$")], request: Request
) -> Response:
    """A backtest: how far it is, and its report when it is done."""
    return JsonResponse(await get_backtest(request.app.state.deps, backtest_id))
