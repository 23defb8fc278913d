"""GET and POST /v1/reconciliations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.operations.report_reconciliations import (
    Reconciliations,
    report_reconciliations,
    report_run,
)
from platform_kit.body import StrictRoute
from platform_kit.contract import answer as answers
from platform_kit.ids import is_id
from platform_kit.moments import Day
from platform_kit.problems import NotFound

router = APIRouter(
    prefix="/v1/reconciliations",
    tags=["reconciliation"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)


class RunRequest(BaseModel):
    """Which channel's UTC day to reconcile."""

    model_config = ConfigDict(extra="forbid")

    date: Day
    channel: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")


@router.get("", responses=answers("RunList"))
async def list_reconciliations(
    date: Day | None = None, channel: str | None = None, deps: Deps = Depends(deps_of)
) -> Response:
    """The last run of each channel on a UTC day (default today), each with its open breaks."""
    day = date or deps.clock.now().date()
    found = await report_reconciliations(deps, day, day)
    return answer({"data": [run for run in _with_breaks(found) if channel in (None, run["channel"])]})


@router.post("", status_code=201, responses=answers("Run", 201))
async def run_reconciliation(request: RunRequest, deps: Deps = Depends(deps_of)) -> Response:
    """Fetch the channel's file of that day now, and judge it. A refused file is a result, too."""
    run = await reconcile_day(deps, ReconcileDay(request.channel, request.date))
    return answer(await report_run(deps, run.id), 201)


@router.get("/{run_id}", responses=answers("Run"))
async def show_run(run_id: str, deps: Deps = Depends(deps_of)) -> Response:
    """One run, with the open breaks of its day and channel."""
    if not is_id("rec", run_id):
        raise NotFound("This is not the id of a run.")
    return answer(await report_run(deps, run_id))


def _with_breaks(found: Reconciliations) -> list[dict[str, Any]]:
    return [
        run
        | {
            "breaks": [
                broken
                for broken in found.breaks
                if broken["day"] == run["day"] and broken["channel"] == run["channel"]
            ]
        }
        for run in found.runs
    ]
