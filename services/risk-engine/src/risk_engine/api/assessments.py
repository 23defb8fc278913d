"""Assessments: make one or many, read one, list the newest."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit import canonical, telemetry
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from platform_kit.deadline import Deadline
from platform_kit.ids import is_id
from platform_kit.logging import get_logger
from platform_kit.problems import InvalidRequest, Problem
from risk_engine.api.authentication import require_internal, require_reader
from risk_engine.api.schemas.assessments import (
    AssessmentAnswer,
    AssessmentBatch,
    AssessmentRequest,
    EmailSearch,
    Question,
)
from risk_engine.api.schemas.fields import Moment
from risk_engine.domain.decision import Decision
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_assessments import find_assessment, find_assessments
from risk_engine.operations.find_related import find_by_email, find_related
from risk_engine.store.assessments import Wanted

log = get_logger(__name__)

router = APIRouter(prefix="/v1/assessments", tags=["assessments"], route_class=StrictRoute)
Word = Annotated[str | None, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
ASKED_BY_SERVICES = [Depends(require_internal)]
READ_BY_PEOPLE_TOO = [Depends(require_reader)]


@router.post("", dependencies=ASKED_BY_SERVICES, responses={200: {"model": AssessmentAnswer}})
async def create_assessment(body: AssessmentRequest, request: Request) -> Response:
    """Decide about a payment. The same merchant and key get the same answer, also after a crash."""
    deps = request.app.state.deps
    subject = body.subject(deps.clock.now(), deps.country_of, deps.fingerprints)
    return JsonResponse(await assess_payment(deps, subject, canonical.deadline()))


@router.post("/batch", dependencies=ASKED_BY_SERVICES, responses=answer("AssessmentAnswers"))
async def create_assessments(body: AssessmentBatch, request: Request) -> Response:
    """Decide about payments that came at the same time, each as if it had come alone: what is wrong with one is its own
    answer. Answers come in the order of the questions."""
    deps = request.app.state.deps
    return JsonResponse({"data": await asyncio.gather(*(_assess(deps, question) for question in body.data))})


async def _assess(deps: Deps, question: Question) -> dict[str, Any]:
    """The assessment with its status, or the problem with its own; with the line and the context that a request of its
    own would have had."""
    trace_id = question.traceparent[3:35] if question.traceparent else None
    with telemetry.span("assessment", "server", traceparent=question.traceparent):
        try:
            with canonical.line("assessment", request_id=question.request_id, trace_id=trace_id):
                deadline = (
                    None if question.deadline_ms is None else Deadline.after(question.deadline_ms / 1000)
                )
                subject = question.parsed().subject(deps.clock.now(), deps.country_of, deps.fingerprints)
                return {"status": 200, "assessment": await assess_payment(deps, subject, deadline)}
        except Problem as refused:
            problem = refused
        except Exception:
            log.exception("unhandled error")
            problem = Problem()
    return {"status": problem.status, "problem": problem.body(None, question.request_id)}


@router.get("", dependencies=READ_BY_PEOPLE_TOO, responses=answer("AssessmentPage"))
async def list_assessments(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    decision: Decision | None = None,
    merchant: Word = None,
    rule: Word = None,
    score_from: Annotated[int, Query(ge=0, le=100)] = 0,
    score_to: Annotated[int, Query(ge=0, le=100)] = 100,
    made_from: Annotated[Moment | None, Query()] = None,
    made_before: Annotated[Moment | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """The newest assessments that fit; `next_cursor` leads to older ones. One request searches a bounded number of
    decisions: a page may be short, or empty, and still have a cursor, and then `searched_to` says how far it came."""
    if cursor is not None and not is_id("asm", cursor):
        raise InvalidRequest("Send the `next_cursor` of the page before.")
    wanted = Wanted(decision, merchant, rule, score_from, score_to, made_from, made_before)
    return JsonResponse(await find_assessments(request.app.state.deps, wanted, cursor, limit))


@router.post("/by-email", dependencies=READ_BY_PEOPLE_TOO, responses=answer("RelatedPayments"))
async def search_by_email(body: EmailSearch, request: Request) -> Response:
    """Payments of the last 30 days with this e-mail, newest first. In a body: no address and no log has it. It is
    fingerprinted and not kept."""
    return JsonResponse({"data": await find_by_email(request.app.state.deps, body.email)})


@router.get("/{assessment_id}/related", dependencies=READ_BY_PEOPLE_TOO, responses=answer("RelatedPayments"))
async def get_related(assessment_id: str, request: Request) -> Response:
    """Payments of the last 30 days that share a card, a customer, a device, an address or an e-mail with this one."""
    return JsonResponse({"data": await find_related(request.app.state.deps, assessment_id)})


@router.get("/{assessment_id}", dependencies=READ_BY_PEOPLE_TOO, responses=answer("AssessmentRecord"))
async def get_assessment(assessment_id: str, request: Request) -> Response:
    """One assessment with everything that was recorded: request, facts, hits, timings."""
    return JsonResponse(await find_assessment(request.app.state.deps, assessment_id))
