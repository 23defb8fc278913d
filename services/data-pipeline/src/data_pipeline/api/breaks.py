"""GET and POST /v1/breaks: what does not match, and what people do about it."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from data_pipeline.api.access import ActingFor, Name, answer, deps_of, require_internal
from data_pipeline.domain.break_filter import BreakFilter, Which
from data_pipeline.domain.closing import Act, State
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.operations.close_break import CloseBreak, close_break
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_break import LIST_MAX, bundle_evidence, list_breaks, show_break
from platform_kit.body import StrictRoute
from platform_kit.contract import answer as answers
from platform_kit.contract import problems

router = APIRouter(
    prefix="/v1/breaks",
    tags=["reconciliation"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)

BreakId = Annotated[str, Path(pattern=r"^brk_[a-z2-7]{26}$")]
UNKNOWN = problems({404: "`not-found`: there is no such break."})
ACTED = UNKNOWN | problems(
    {
        403: "`four-eyes`: who proposed it cannot approve it. `may-not-act`: no enabled operator has this name, "
        "or the role may not close breaks.",
        409: "`act-not-possible`, or `correction-refused` by the ledger.",
        503: "`ledger-not-reached`: send the same act again; it is booked once.",
    }
)


class ActBody(BaseModel):
    """What is done, and why."""

    model_config = ConfigDict(extra="forbid")

    act: Literal["accept", "write_off", "claim", "correct", "approve", "reject", "note", "assign"]
    note: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")
    owner: Name | None = Field(default=None, description="whose the break is from now on")


@router.get("", responses=answers("BreakList"))
async def list_all(
    open: bool | None = None,
    channel: Annotated[str | None, Query(pattern=r"^[a-z0-9_]{1,64}$")] = None,
    break_class: BreakClass | None = None,
    state: State | None = None,
    owner: Annotated[Name | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 100,
    deps: Deps = Depends(deps_of),
) -> Response:
    """Breaks, the oldest first: open ones with `open=true`, closed ones with `open=false`."""
    which = {None: Which.ALL, True: Which.OPEN, False: Which.CLOSED}[open]
    wanted = BreakFilter(which, None, channel, break_class, state, owner)
    return answer({"data": await list_breaks(deps, wanted, limit=limit)})


@router.get("/{break_id}", responses=UNKNOWN | answers("WorkedBreak"))
async def show(break_id: BreakId, deps: Deps = Depends(deps_of)) -> Response:
    """One break with its acts."""
    return answer(await show_break(deps, break_id))


@router.post("/{break_id}/acts", responses=ACTED | answers("WorkedBreak"))
async def act(break_id: BreakId, body: ActBody, actor: ActingFor, deps: Deps = Depends(deps_of)) -> Response:
    """Close it with a reason, approve or reject what another person proposed, note, or assign. Above a limit a reason
    is a proposal that takes a second person."""
    command = CloseBreak(break_id, Act(body.act), actor, body.note, body.owner)
    return answer(await close_break(deps, command))


@router.get("/{break_id}/evidence", responses=UNKNOWN | answers("Evidence"))
async def download_evidence(break_id: BreakId, deps: Deps = Depends(deps_of)) -> Response:
    """All that is known of it as one file, with the hash of its content."""
    bundle = await bundle_evidence(deps, break_id)
    raw = orjson.dumps(
        bundle,
        option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )
    named = {"Content-Disposition": f'attachment; filename="{break_id}.json"'}
    return Response(raw, media_type="application/json", headers=named)
