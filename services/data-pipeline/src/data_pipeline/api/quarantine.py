"""Events that were set aside: list, show, replay, discard. For operators: every route asks for the internal token."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from data_pipeline.api.access import MAY_NOT_ACT, ByReplayer, answer, deps_of, require_internal
from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.discard_quarantine import discard_quarantine
from data_pipeline.operations.replay_quarantine import REPLAY_MAX, replay_quarantine
from data_pipeline.operations.report_quarantine import report_quarantine, show_quarantined
from data_pipeline.store.quarantine import Chosen
from platform_kit.body import StrictRoute
from platform_kit.contract import answer as answers
from platform_kit.contract import problems
from platform_kit.problems import InvalidRequest

router = APIRouter(
    prefix="/v1/quarantine",
    tags=["quarantine"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)
PAGE_MAX = 100
ID_MAX = 2**53  # what every JSON reader counts exactly
Name = Annotated[str | None, Query(max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
Id = Annotated[int, Field(strict=True, ge=1, le=ID_MAX)]
Position = Annotated[int, Query(ge=1, le=ID_MAX)]


class NothingChosen(InvalidRequest):
    code, title = "nothing-chosen", "The request does not say which events"


class Choice(BaseModel):
    """Which open events: those that fit every given member, or `all`."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] | None = Field(default=None, min_length=1, max_length=REPLAY_MAX)
    stream: Literal[*STREAMS] | None = None  # type: ignore[valid-type]
    first_position: Id | None = None
    last_position: Id | None = None
    type: str | None = Field(default=None, max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")
    fault: str | None = Field(default=None, max_length=64, pattern=r"^[a-z_]+$")
    all: StrictBool = False

    def chosen(self) -> Chosen:
        """The choice as the store takes it. Raises NothingChosen: an empty choice is not everything."""
        chosen = Chosen(
            tuple(self.ids) if self.ids else None,
            self.stream,
            self.first_position,
            self.last_position,
            self.type,
            self.fault,
        )
        if chosen.is_everything and not self.all:
            raise NothingChosen(
                'Name `ids`, a `stream` with positions, a `type` or a `fault`, or say `"all": true`.'
            )
        return chosen


class Replaying(Choice):
    reason: str | None = Field(default=None, min_length=1, max_length=500, pattern=r"^[^\x00]+$")


class Discarding(Choice):
    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")


@router.get("", responses=answers("QuarantinePage"))
async def list_quarantine(
    state: Literal["open", "replayed", "discarded"] | None = None,
    stream: Literal[*STREAMS] | None = None,  # type: ignore[valid-type]
    type_: Annotated[Name, Query(alias="type")] = None,
    fault: Name = None,
    first_position: Position | None = None,
    last_position: Position | None = None,
    after: Annotated[int, Query(ge=0, le=ID_MAX)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    deps: Deps = Depends(deps_of),
) -> Response:
    """Events that were set aside, oldest first; send `next_after` as `after` for more."""
    chosen = Chosen(None, stream, first_position, last_position, type_, fault)
    return answer(await report_quarantine(deps, chosen, state, after, limit))


@router.get("/{quarantine_id:int}", responses=answers("QuarantinedSample"))
async def show_one(
    quarantine_id: Annotated[int, Path(ge=1, le=ID_MAX)], deps: Deps = Depends(deps_of)
) -> Response:
    """One of them, with the event as received in `payload`."""
    return answer(await show_quarantined(deps, quarantine_id))


REFUSED = MAY_NOT_ACT | problems({422: "nothing-chosen: the choice is empty"})


@router.post("/replay", responses=answers("QuarantineReplay") | REFUSED)
async def replay(request: Replaying, by: ByReplayer, deps: Deps = Depends(deps_of)) -> Response:
    """Try open events again, in order; what was applied before is left alone, and the outcome says so."""
    done = await replay_quarantine(deps, request.chosen(), by.name, request.reason)
    return answer({"data": done.events, "remaining": done.remaining})


@router.post("/discard", responses=answers("QuarantineDiscard") | REFUSED)
async def discard(request: Discarding, by: ByReplayer, deps: Deps = Depends(deps_of)) -> Response:
    """Close open events without effect. They stay readable, with who decided and why."""
    discarded = await discard_quarantine(deps, request.chosen(), by.name, request.reason)
    return answer({"discarded": discarded})
