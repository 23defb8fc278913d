"""The review queue: a list and a case beside it, decided with the keyboard, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.api.console.velocity import velocities_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Permission
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.name_merchants import name_merchants
from data_pipeline.operations.review_cases import (
    CaseFilter,
    CaseView,
    decide_case,
    list_cases,
    note_on_case,
    release_case,
    show_case,
    snooze_rule,
    take_next_case,
)

QUEUE: Final = "/console/risk/queue"
STATUSES: Final = ("open", "in_progress", "closed")
REASONS: Final = (
    "The cardholder confirmed it.",
    "The cardholder knows nothing of it.",
    "Fits what this customer does.",
    "Part of a card testing attack.",
)
"""Filled in with the keys 1 to 4; whoever decides may write something else."""

router = APIRouter(prefix=QUEUE, include_in_schema=False, route_class=ConsoleRoute)
REVIEWS: Final = [Depends(may(Permission.REVIEW))]
CaseId = Annotated[str, Path(pattern=r"^cas_[0-9a-hjkmnp-tv-z]{26}$")]


@router.get("")
async def show_queue_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """What waits, most urgent first."""
    return await _queue(request, deps)


@router.get("/{case_id}")
async def show_case_page(request: Request, case_id: CaseId, deps: Deps = Depends(deps_of)) -> Response:
    """One case with all that speaks for and against it."""
    return await _queue(request, deps, case_id)


@router.post("/next", dependencies=REVIEWS)
async def take_next(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Lock the most urgent case and open it."""
    try:
        taken = await take_next_case(deps, by)
    except ServiceRefused as refused:
        return await _queue(request, deps, refused=refused)
    return _to(request, taken["id"] if taken else None, came="" if taken else "empty")


@router.post("/{case_id}/decide", dependencies=REVIEWS)
async def decide(
    request: Request, case_id: CaseId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """The verdict, and then the next case."""
    try:
        decided = await decide_case(deps, by, case_id, form)
        taken = await take_next_case(deps, by)
    except ServiceRefused as refused:
        return await _queue(request, deps, case_id, refused=refused, draft=form)
    came = "decided" if decided["status"] == "closed" else "proposed"
    return _to(request, taken["id"] if taken else None, came=came, after=case_id)


@router.post("/{case_id}/release", dependencies=REVIEWS)
async def release(
    request: Request, case_id: CaseId, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Put it back for somebody else."""
    try:
        await release_case(deps, by, case_id)
    except ServiceRefused as refused:
        return await _queue(request, deps, case_id, refused=refused)
    return _to(request, None, came="released", after=case_id)


@router.post("/{case_id}/notes", dependencies=REVIEWS)
async def note(
    request: Request, case_id: CaseId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Write something down for whoever looks at it next."""
    try:
        await note_on_case(deps, by, case_id, form.get("text", ""))
    except ServiceRefused as refused:
        return await _queue(request, deps, case_id, refused=refused, draft=form)
    return _to(request, case_id, came="noted")


@router.post("/{case_id}/snooze", dependencies=REVIEWS)
async def snooze(
    request: Request, case_id: CaseId, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Leave a rule out for this payer for some days."""
    try:
        await snooze_rule(deps, by, form)
    except ServiceRefused as refused:
        return await _queue(request, deps, case_id, refused=refused, draft=form)
    return _to(request, case_id, came="snoozed")


async def _queue(
    request: Request,
    deps: Deps,
    case_id: str | None = None,
    *,
    refused: ServiceRefused | None = None,
    draft: Mapping[str, str] | None = None,
) -> Response:
    """The whole page; `refused` is what an act was answered, `draft` what was typed for it."""
    by, asked = operator_of(request), request.query_params
    wanted = _filter_of(request)
    found: dict[str, Any] = {"data": [], "next_cursor": None}
    view: CaseView | None = None
    is_away = False
    try:
        found = await list_cases(deps, by, wanted, asked.get("cursor", ""))
        view = await show_case(deps, by, case_id) if case_id else None
    except ServiceAway:
        is_away = True
    velocities = velocities_of(view.decision.assessment["facts"]) if view and view.decision else []
    return page(
        request,
        "risk_queue.html",
        status=refused.status if refused else 200,
        is_away=is_away,
        refused=refused,
        draft=draft or {},
        wanted=wanted,
        statuses=STATUSES,
        query=_query(wanted.as_query()),
        cases=found["data"],
        older=_query({**wanted.as_query(), "cursor": found["next_cursor"]}) if found["next_cursor"] else None,
        view=view,
        names=await name_merchants(deps, _merchants(found["data"], view)),
        velocities=velocities,
        shared=Counter(what for one in view.case["related"] for what in one["shares"]) if view else {},
        reasons=REASONS,
        came=asked.get("came", ""),
        after=asked.get("after", ""),
        may_review=by.may(Permission.REVIEW),
    )


def _merchants(cases: list[dict[str, Any]], view: CaseView | None) -> set[str]:
    """All whom the page names: of the cases, of the open one, and of what is related to it."""
    opened = [view.case, *view.case["related"]] if view else []
    return {one["merchant_id"] for one in [*cases, *opened]}


def _filter_of(request: Request) -> CaseFilter:
    asked = request.query_params
    status = asked.get("status", "")
    return CaseFilter(
        status=status if status in STATUSES else "",
        assignee=asked.get("assignee", "")[:64],
        is_overdue=asked.get("overdue", "") == "true",
    )


def _to(request: Request, case_id: str | None, **told: str) -> Response:
    """To a case, or to the queue, with the filters that were set."""
    known = {name: value for name, value in told.items() if value}
    path = f"{QUEUE}/{case_id}" if case_id else QUEUE
    return RedirectResponse(path + _query({**_filter_of(request).as_query(), **known}), 303)


def _query(values: Mapping[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""
