"""The archive: what it holds, what it lacks, the proof, and facts built anew from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.domain.operators import Permission
from data_pipeline.domain.replay import ReplayState
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.replay_archive import cancel_replay, request_replay
from data_pipeline.operations.report_archive import find_holes, report_archive
from data_pipeline.operations.report_replays import list_replays
from data_pipeline.operations.verify_archive import Verification, verify_archive
from platform_kit.problems import InvalidRequest, Problem

PATH: Final = "/console/archive"
DAYS_SHOWN: Final = 60
REPLAYS_SHOWN: Final = 10
VERIFIED_DAYS_MAX: Final = 7  # a page waits for it; the API and the command line take a month
REASON_MIN, REASON_MAX = 3, 500
OPEN: Final = (ReplayState.REQUESTED, ReplayState.BUILDING)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
MAY_REPLAY: Final = [Depends(may(Permission.REPLAY))]
ReplayId = Annotated[str, Path(pattern=r"^rpl_[0-9a-z]{26}$")]


@router.get(PATH)
async def show_archive_page(
    request: Request, told: Annotated[str, Query(max_length=20)] = "", deps: Deps = Depends(deps_of)
) -> Response:
    """Is every event kept, and could the figures be built from it?"""
    return await _archive(request, deps, told=told)


@router.post(f"{PATH}/verify")
async def verify(request: Request, form: PostedForm, deps: Deps = Depends(deps_of)) -> Response:
    """Read every file of these days and hold it against manifest and event store. It only reads: every operator may."""
    try:
        first, last = _days(form)
    except InvalidRequest as refused:
        return await _archive(request, deps, refused=refused, draft=form)
    return await _archive(request, deps, verified=await verify_archive(deps, first, last), draft=form)


@router.post(f"{PATH}/replays", dependencies=MAY_REPLAY)
async def start_replay(
    request: Request, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Build facts and roll-ups anew, beside the live ones."""
    reason = form.get("reason", "")
    try:
        if not REASON_MIN <= len(reason) <= REASON_MAX:
            raise InvalidRequest("Say why: it stands beside the replay and your name.")
        await request_replay(deps, by.name, reason, may_differ=form.get("may_differ") == "true")
    except Problem as refused:
        return await _archive(request, deps, refused=refused, draft=form)
    return RedirectResponse(f"{PATH}?told=requested#replays", 303)


@router.post(PATH + "/replays/{replay_id}/cancel", dependencies=MAY_REPLAY)
async def cancel(replay_id: ReplayId, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Stop it; the live tables were never touched."""
    await cancel_replay(deps, replay_id, by.name)
    return RedirectResponse(f"{PATH}?told=cancelled#replays", 303)


async def _archive(
    request: Request,
    deps: Deps,
    *,
    told: str = "",
    refused: Problem | None = None,
    verified: Verification | None = None,
    draft: Mapping[str, str] | None = None,
) -> Response:
    found = await report_archive(deps)
    replays = await list_replays(deps, REPLAYS_SHOWN)
    newest_first = sorted(found["partitions"], key=lambda one: (one["day"], one["stream"]), reverse=True)
    return page(
        request,
        "archive.html",
        status=refused.status if refused else 200,
        archive=found,
        partitions=newest_first[:DAYS_SHOWN],
        partition_count=len(newest_first),
        holes=await find_holes(deps),
        replays=replays,
        is_replaying=any(one["state"] in OPEN for one in replays),
        told={
            "requested": "Asked for: the worker begins within seconds.",
            "cancelled": "Cancelled; nothing was swapped.",
        }.get(told),
        refused=refused,
        verified=verified,
        draft=draft or {},
        days_max=VERIFIED_DAYS_MAX,
        may_replay=operator_of(request).may(Permission.REPLAY),
        reason_max=REASON_MAX,
    )


def _days(form: Mapping[str, str]) -> tuple[date, date]:
    """Raises InvalidRequest, in words for the form."""
    try:
        first, last = (datetime.strptime(form.get(name, ""), "%Y-%m-%d").date() for name in ("first", "last"))  # noqa: DTZ007
    except ValueError:
        raise InvalidRequest("A day is written like 2026-11-23.") from None
    if not timedelta() <= last - first < timedelta(days=VERIFIED_DAYS_MAX):
        raise InvalidRequest(
            f"The last day is not before the first, and at most {VERIFIED_DAYS_MAX} go at once."
        )
    return first, last
