"""The review queue: what is to be looked at, by whom, how soon, and what was decided."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import Analyst, Lead, require_reader
from risk_engine.api.schemas.cases import CaseAssignment, CaseDecision, CaseDecisions, CaseNote
from risk_engine.api.schemas.fields import Name
from risk_engine.domain.cases import CaseKind, CaseStatus
from risk_engine.operations import show_cases, work_cases
from risk_engine.operations.decide_case import decide_case, decide_cases

router = APIRouter(prefix="/v1/cases", tags=["cases"], route_class=StrictRoute)


@router.get("", responses=answer("CasePage"), dependencies=[Depends(require_reader)])
async def list_cases(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    status: CaseStatus | None = None,
    assignee: Annotated[Name | None, Query()] = None,
    overdue: bool = False,
    kind: CaseKind | None = None,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^cas_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """What is not closed, most urgent first; with `status=closed` what is, newest first."""
    page = await show_cases.list_cases(
        request.app.state.deps,
        status=status,
        assignee=assignee,
        overdue=overdue,
        kind=kind,
        cursor=cursor,
        limit=limit,
    )
    return JsonResponse(page)


@router.post("/next", responses=answer("NextCase"))
async def take_next(request: Request, actor: Analyst) -> Response:
    """Lock the most urgent case for you for 15 minutes; `case` is null when nothing waits. Asked again before you have
    finished, it is the same case."""
    return JsonResponse({"case": await work_cases.next_case(request.app.state.deps, actor)})


@router.post("/decide", responses=answer("DecidedCases"))
async def decide_many(body: CaseDecisions, request: Request, actor: Lead) -> Response:
    """The same verdict for many cases, each with an answer and a status of its own, in the order of the ids."""
    deps = request.app.state.deps
    return JsonResponse({"data": await decide_cases(deps, actor, body.ids, body.verdict, body.reason)})


@router.get("/{case_id}", responses=answer("CaseRecord"), dependencies=[Depends(require_reader)])
async def get_case(case_id: str, request: Request) -> Response:
    """One case with its payments and what came of them, related payments, and its history."""
    return JsonResponse(await show_cases.show_case(request.app.state.deps, case_id))


@router.post("/{case_id}/assign", responses=answer("Case"))
async def assign(case_id: str, body: CaseAssignment, request: Request, actor: Analyst) -> Response:
    """An analyst takes what is free; a lead gives any case to anybody who works cases."""
    return JsonResponse(await work_cases.assign_case(request.app.state.deps, actor, case_id, body.assignee))


@router.post("/{case_id}/release", responses=answer("Case"))
async def release(case_id: str, request: Request, actor: Analyst) -> Response:
    """Put it back into the queue, lock and assignment."""
    return JsonResponse(await work_cases.release_case(request.app.state.deps, actor, case_id))


@router.post("/{case_id}/notes", responses=answer("Case"))
async def note(case_id: str, body: CaseNote, request: Request, actor: Analyst) -> Response:
    """Write something down for whoever looks at it next."""
    return JsonResponse(await work_cases.note_on_case(request.app.state.deps, actor, case_id, body.text))


@router.post("/{case_id}/decide", responses=answer("Case"))
async def decide(case_id: str, body: CaseDecision, request: Request, actor: Analyst) -> Response:
    """Approve (the gateway takes the money) or reject (it gives the holds up); an appeal is granted or denied.
    From the amount of FOUR_EYES_FROM_MINOR on the first person proposes, and another one who says the same decides."""
    deps = request.app.state.deps
    decided = await decide_case(deps, actor, case_id, body.verdict, body.reason, body.payment_count)
    return JsonResponse(decided)
