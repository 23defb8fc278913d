"""Lists: make them, bring entries on and off in batches, see whom they met."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from platform_kit.ids import is_id
from platform_kit.problems import InvalidRequest
from risk_engine.api.authentication import Analyst, require_reader
from risk_engine.api.schemas.fields import ListName
from risk_engine.api.schemas.lists import NewEntries, NewList
from risk_engine.operations.manage_lists import (
    add_entries,
    all_lists,
    list_entries,
    list_hits,
    make_list,
    remove_entry,
)

router = APIRouter(prefix="/v1/lists", tags=["lists"], route_class=StrictRoute)
READ = [Depends(require_reader)]
Name = Annotated[ListName, Path()]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post(
    "", status_code=201, responses=answer("List", 201) | problems({409: "list-exists: take another name"})
)
async def create_list(body: NewList, request: Request, by: Analyst) -> Response:
    """Make a list; rules read it as the fact `list_<name>`."""
    return JsonResponse(await make_list(request.app.state.deps, body.name, body.type, body.note, by), 201)


@router.get("", dependencies=READ, responses=answer("Lists"))
async def get_lists(request: Request) -> Response:
    """All lists by name, with how many entries are on each."""
    return JsonResponse({"data": await all_lists(request.app.state.deps)})


@router.post(
    "/{name}/entries",
    responses=answer("AddedEntries") | problems({409: "too-many-entries: take some off first"}),
)
async def create_entries(name: Name, body: NewEntries, request: Request, by: Analyst) -> Response:
    """Bring entries on a list, each with an answer of its own, in the order of the request. Every process decides with
    them within two seconds."""
    entries = [one.model_dump() for one in body.data]
    return JsonResponse({"data": await add_entries(request.app.state.deps, name, entries, by)})


@router.get("/{name}/entries", dependencies=READ, responses=answer("EntryPage"))
async def get_entries(
    name: Name,
    request: Request,
    limit: Limit = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    with_removed: bool = False,
) -> Response:
    """Entries, newest first; `next_cursor` leads to older ones."""
    deps = request.app.state.deps
    return JsonResponse(await list_entries(deps, name, cursor, limit, with_removed=with_removed))


@router.post("/{name}/entries/{entry_id}/remove", responses=answer("Entry"))
async def take_off(
    name: Name, entry_id: Annotated[int, Path(ge=1, le=2**53)], request: Request, by: Analyst
) -> Response:
    """Take an entry off its list; that it was on it stays known."""
    return JsonResponse(await remove_entry(request.app.state.deps, name, entry_id, by))


@router.get("/{name}/hits", dependencies=READ, responses=answer("HitPage"))
async def get_hits(
    name: Name,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """Assessments that the list spoke of, newest first."""
    if cursor is not None and not is_id("asm", cursor):
        raise InvalidRequest("Send the `next_cursor` of the page before.")
    return JsonResponse(await list_hits(request.app.state.deps, name, cursor, limit))
