"""GET /v1/channel-payouts: the money equation of each batch, from the channel's file to the bank's line."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_payouts import report_payouts
from platform_kit.contract import answer as answers
from platform_kit.moments import Day

router = APIRouter(
    prefix="/v1/channel-payouts", tags=["reconciliation"], dependencies=[Depends(require_internal)]
)


@router.get("", responses=answers("ChannelPayoutList"))
async def list_all(
    date: Day | None = None,
    days: Annotated[int, Query(ge=1, le=92)] = 7,
    deps: Deps = Depends(deps_of),
) -> Response:
    """What channels paid out, or should have, for `days` UTC days up to `date` (default today), newest first."""
    last = date or deps.clock.now().date()
    return answer({"data": await report_payouts(deps, last - timedelta(days=days - 1), last)})
