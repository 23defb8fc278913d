"""The archive: what it holds, and the proof that it does. For operators: the internal token opens it."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_archive import report_archive
from data_pipeline.operations.verify_archive import verify_archive
from platform_kit.body import StrictRoute
from platform_kit.contract import answer as answers
from platform_kit.contract import problems
from platform_kit.moments import Day
from platform_kit.problems import InvalidRequest

router = APIRouter(
    prefix="/v1/archive",
    tags=["archive"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)
DAYS_MAX = 31  # of one call: each file is read whole


class InvalidDays(InvalidRequest):
    code, title = "invalid-days", "The days are not acceptable"


class Days(BaseModel):
    """UTC days of the events, both included."""

    model_config = ConfigDict(extra="forbid")

    first: Day
    last: Day


@router.get("", responses=answers("Archive"))
async def show_archive(deps: Deps = Depends(deps_of)) -> Response:
    """Progress, partitions by stream and day, and what retention would let go."""
    return answer(await report_archive(deps))


@router.post(
    "/verifications",
    responses=answers("ArchiveVerification")
    | problems({422: f"invalid-days: `last` is before `first`, or more than {DAYS_MAX} days"}),
)
async def verify(request: Days, deps: Deps = Depends(deps_of)) -> Response:
    """Read every file of these days, and hold it against its manifest and the event store."""
    if not timedelta() <= request.last - request.first < timedelta(days=DAYS_MAX):
        raise InvalidDays(f"`last` must not be before `first`, and at most {DAYS_MAX} days go in one call.")
    return answer(await verify_archive(deps, request.first, request.last))
