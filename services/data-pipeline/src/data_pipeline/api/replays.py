"""Replays from the archive: ask for one, watch it, cancel it. For operators: the internal token opens it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from data_pipeline.api.access import MAY_NOT_ACT, ByReplayer, answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.replay_archive import cancel_replay, request_replay
from data_pipeline.operations.report_replays import list_replays, show_replay
from platform_kit.body import StrictRoute
from platform_kit.contract import answer as answers
from platform_kit.contract import problems
from platform_kit.ids import is_id
from platform_kit.problems import NotFound

router = APIRouter(
    prefix="/v1/replays", tags=["replays"], route_class=StrictRoute, dependencies=[Depends(require_internal)]
)


class ReplayRequest(BaseModel):
    """Why; `may_differ` swaps the new tables in even when their totals are others."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")
    may_differ: StrictBool = False


@router.get("", responses=answers("ReplayList"))
async def list_all(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, deps: Deps = Depends(deps_of)
) -> Response:
    """The latest replays, newest first."""
    return answer({"data": await list_replays(deps, limit)})


@router.post(
    "",
    status_code=201,
    responses=answers("Replay", 201)
    | MAY_NOT_ACT
    | problems({409: "replay-open: one at a time; no-archive: there is nothing to replay from"}),
)
async def start(request: ReplayRequest, by: ByReplayer, deps: Deps = Depends(deps_of)) -> Response:
    """Build facts and roll-ups anew from the archive, beside the live ones. The worker swaps at the end."""
    run = await request_replay(deps, by.name, request.reason, may_differ=request.may_differ)
    return answer(run, 201)


@router.get("/{replay_id}", responses=answers("Replay"))
async def show(replay_id: str, deps: Deps = Depends(deps_of)) -> Response:
    """One replay, with its progress and how its totals compare."""
    return answer(await show_replay(deps, _known(replay_id)))


@router.post("/{replay_id}/cancel", responses=answers("Replay") | MAY_NOT_ACT)
async def cancel(replay_id: str, by: ByReplayer, deps: Deps = Depends(deps_of)) -> Response:
    """Stop it; the live tables were never touched. One that is over stays as it ended."""
    return answer(await cancel_replay(deps, _known(replay_id), by.name))


def _known(replay_id: str) -> str:
    if not is_id("rpl", replay_id):
        raise NotFound("This is not the id of a replay.")
    return replay_id
