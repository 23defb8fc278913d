"""Lists that rules ask: who is on them, why and until when, and whom they met."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Permission
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.keep_lists import add_entry, list_lists, make_list, remove_entry, show_list

LISTS: Final = "/console/risk/lists"
TYPES: Final = ("card", "customer", "email", "ip", "device", "bin", "country", "merchant")

router = APIRouter(prefix=LISTS, include_in_schema=False, route_class=ConsoleRoute)
CHANGES: Final = [Depends(may(Permission.CHANGE_RULES))]
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,47}$")]


@router.get("")
async def show_lists_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """Which lists are there?"""
    return await _lists(request, deps)


@router.post("", dependencies=CHANGES)
async def make(request: Request, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)) -> Response:
    """A new list."""
    try:
        await make_list(deps, by, form)
    except ServiceRefused as refused:
        return await _lists(request, deps, refused, form)
    return RedirectResponse(LISTS, 303)


@router.get("/{name}")
async def show_list_page(request: Request, name: Name, deps: Deps = Depends(deps_of)) -> Response:
    """Who is on it?"""
    return await _list(request, deps, name)


@router.post("/{name}/entries", dependencies=CHANGES)
async def bring_on(
    request: Request, name: Name, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """One more entry."""
    try:
        await add_entry(deps, by, name, form)
    except ServiceRefused as refused:
        return await _list(request, deps, name, refused, form)
    return RedirectResponse(f"{LISTS}/{name}", 303)


@router.post("/{name}/entries/{entry_id}/remove", dependencies=CHANGES)
async def take_off(
    request: Request,
    name: Name,
    entry_id: Annotated[int, Path(ge=1, le=2**53)],
    by: ByOperator,
    deps: Deps = Depends(deps_of),
) -> Response:
    """One less."""
    try:
        await remove_entry(deps, by, name, entry_id)
    except ServiceRefused as refused:
        return await _list(request, deps, name, refused)
    return RedirectResponse(f"{LISTS}/{name}", 303)


async def _lists(
    request: Request,
    deps: Deps,
    refused: ServiceRefused | None = None,
    draft: PostedForm | None = None,
) -> Response:
    by = operator_of(request)
    try:
        found = await list_lists(deps, by)
    except ServiceAway:
        found = None
    return page(
        request,
        "risk_lists.html",
        status=refused.status if refused else 200,
        lists=found,
        refused=refused,
        draft=draft or {},
        types=TYPES,
        may_change=by.may(Permission.CHANGE_RULES),
    )


async def _list(
    request: Request,
    deps: Deps,
    name: str,
    refused: ServiceRefused | None = None,
    draft: PostedForm | None = None,
) -> Response:
    by = operator_of(request)
    shown, entries, hits = await show_list(deps, by, name, request.query_params.get("cursor", ""))
    older = entries["next_cursor"]
    return page(
        request,
        "risk_list.html",
        status=refused.status if refused else 200,
        shown=shown,
        entries=entries["data"],
        hits=hits,
        older=f"{LISTS}/{name}?cursor={older}" if older else None,
        first=f"{LISTS}/{name}" if request.query_params.get("cursor") else None,
        refused=refused,
        draft=draft or {},
        may_change=by.may(Permission.CHANGE_RULES),
    )
