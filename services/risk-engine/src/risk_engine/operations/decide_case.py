"""Decide about a case, or about many: the verdict closes it, labels its payments and tells the gateway, in one commit.

The gateway takes the money of what is approved and gives up what is rejected (`case.decided.v1`); what came of it comes
back with its events, and is shown with the case.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import canonical, outbox
from platform_kit.clock import isoformat
from platform_kit.events import Event
from platform_kit.ids import new_id
from platform_kit.problems import Problem
from risk_engine.domain import cases as machine
from risk_engine.domain.cases import Case, CaseKind, CaseRefusal, CaseStatus, Verdict, act_of
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.domain.staff import Actor
from risk_engine.operations.deps import Deps
from risk_engine.operations.show_cases import case_object
from risk_engine.operations.work_cases import locked_case, problem_of
from risk_engine.store import appeal_events, appeals, cases, labels, tables
from risk_engine.store.appeal_events import appeal_event
from risk_engine.store.case_events import case_told

DECIDED = "case.decided.v1"


class CaseGrew(Problem):
    status, code, title = 409, "case-grew", "Payments have joined this case since you looked"


async def decide_case(
    deps: Deps, actor: Actor, case_id: str, verdict: Verdict, reason: str, seen: int | None = None
) -> dict[str, Any]:
    """The case, closed, or with a proposal when it takes two people. Repeated by who decided it, it is shown as it is.
    `seen` is how many payments the person looked at.

    Raises NotFound, CaseClosed, CaseHeld, CaseGrew, SecondPersonNeeded."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        case = await locked_case(conn, case_id)
        if case.closed_by == actor.name and case.verdict is verdict:
            return case_object(deps, case, now)
        if seen is not None and case.payment_count > seen:
            raise CaseGrew(f"It has {case.payment_count} payments by now: look at it again.")
        try:
            decided = machine.decided(
                case, actor, verdict, now, four_eyes_from_minor=deps.settings.four_eyes_from_minor
            )
        except CaseRefusal as refusal:
            raise problem_of(refusal) from None
        is_closed = decided.status is CaseStatus.CLOSED
        await cases.save(conn, decided)
        kind = "decided" if is_closed else "proposed"
        await cases.record_acts(conn, [act_of(actor.name, kind, case, decided, reason)])
        if is_closed:
            await _conclude(conn, decided, reason)
    canonical.add(case_id=case_id, verdict=verdict, act=kind)
    return case_object(deps, decided, now)


async def _conclude(conn: AsyncConnection, case: Case, reason: str) -> None:
    """What follows from a verdict: labels, and the event that says so."""
    assert case.closed_at is not None
    assert case.closed_by is not None
    payments = await cases.payments_of(conn, case.id)
    said = [
        Label(
            payment_id=row.payment_id,
            assessment_id=row.assessment_id,
            kind=LabelKind.FRAUD if case.verdict is Verdict.REJECT else LabelKind.LEGITIMATE,
            source=LabelSource.CASE,
            event_at=case.closed_at,
            labelled_at=case.closed_at,
            actor=case.closed_by,
        )
        for row in payments
    ]
    await labels.add(conn, said)
    await outbox.append(conn, tables.outbox, [await _told(conn, case, reason, payments)])


async def _told(conn: AsyncConnection, case: Case, reason: str, payments: Sequence[Any]) -> Event:
    """Of an appeal its own event: the gateway has nothing to do."""
    if case.kind is CaseKind.REVIEW:
        return _decided_event(case, reason, payments)
    assert case.closed_at is not None
    appeal = await appeals.of_case(conn, case.id)
    assert appeal is not None
    return appeal_event(appeal_events.DECIDED, appeal, case.closed_at)


def _decided_event(case: Case, reason: str, payments: Sequence[Any]) -> Event:
    assert case.closed_at is not None
    told = case_told(case) | {
        "verdict": case.verdict,
        "reason": reason,
        "decided_by": case.closed_by,
        "proposed_by": case.proposed_by,
        "decided_at": isoformat(case.closed_at),
        "payments": [
            # of what the gateway held alone its own id stands for the assessment that there is not
            {"payment_id": row.payment_id, "assessment_id": row.assessment_id or row.payment_id}
            for row in payments
        ],
    }
    return Event(
        id=new_id("evt"),
        type=DECIDED,
        aggregate_id=case.id,
        merchant_id=case.merchant_id,
        data={"case": told},
        occurred_at=case.closed_at,
    )


async def decide_cases(
    deps: Deps, actor: Actor, case_ids: Sequence[str], verdict: Verdict, reason: str
) -> list[dict[str, Any]]:
    """One transaction and one answer for each: what one case refuses costs the others nothing. Repeating the whole is
    harmless."""
    return [await _decide_one(deps, actor, case_id, verdict, reason) for case_id in case_ids]


async def _decide_one(
    deps: Deps, actor: Actor, case_id: str, verdict: Verdict, reason: str
) -> dict[str, Any]:
    try:
        return {
            "id": case_id,
            "status": 200,
            "case": await decide_case(deps, actor, case_id, verdict, reason),
        }
    except Problem as refused:
        return {"id": case_id, "status": refused.status, "problem": refused.body(None, None)}
