"""Work on cases: take one up, give it to somebody, put it back, write a note. Every act is in the case's history."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.problems import NotFound, Problem
from risk_engine.domain import cases as machine
from risk_engine.domain.cases import Act, Case, CaseRefusal, act_of
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.deps import Deps
from risk_engine.operations.show_cases import case_object
from risk_engine.store import cases, staff


class CaseClosed(Problem):
    status, code, title = 409, "case-closed", "The case is closed"


class CaseHeld(Problem):
    status, code, title = 409, "case-held", "Somebody else works on the case"


class SecondPersonNeeded(Problem):
    status, code, title = 409, "second-person-needed", "Another person must agree"


class NotYourCase(Problem):
    status, code, title = 403, "not-your-case", "It takes a lead to do that to another person's case"


class UnknownAssignee(Problem):
    status, code, title = 422, "unknown-assignee", "Nobody who works cases has this name"


_PROBLEMS: Final[dict[type[CaseRefusal], type[Problem]]] = {
    machine.CaseIsClosed: CaseClosed,
    machine.CaseIsHeld: CaseHeld,
    machine.SecondPersonNeeded: SecondPersonNeeded,
    machine.NotYours: NotYourCase,
}


def problem_of(refusal: CaseRefusal) -> Problem:
    """The refusal of the case as an answer."""
    return _PROBLEMS[type(refusal)](str(refusal))


async def next_case(deps: Deps, actor: Actor) -> dict[str, Any] | None:
    """Lock the most urgent case that `actor` may take up, for LOCK_LASTS; None when the queue is empty. Who has locked
    one and asks again gets the same."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        case = await cases.lock_next(conn, actor.name, now)
        if case is None:
            return None
        taken = machine.locked(case, actor, now)
        await _keep(conn, case, taken, actor, "locked")
    return case_object(deps, taken, now)


async def assign_case(deps: Deps, actor: Actor, case_id: str, assignee: str) -> dict[str, Any]:
    """Give a case to somebody who works cases. Raises NotFound, CaseClosed, CaseHeld, NotYourCase, UnknownAssignee."""
    async with deps.engine.connect() as conn:
        role = await staff.role_of(conn, assignee)
    if role not in (Role.ANALYST, Role.LEAD):
        raise UnknownAssignee("Name an analyst or a lead who has not ended.")
    return await _change(
        deps, actor, case_id, "assigned", lambda case, now: machine.assigned(case, actor, assignee, now)
    )


async def release_case(deps: Deps, actor: Actor, case_id: str) -> dict[str, Any]:
    """Put a case back into the queue. Raises NotFound, CaseClosed, NotYourCase."""
    return await _change(deps, actor, case_id, "released", lambda case, now: machine.released(case, actor))


async def note_on_case(deps: Deps, actor: Actor, case_id: str, note: str) -> dict[str, Any]:
    """Add a note; a closed case takes notes, too. Raises NotFound."""
    async with deps.engine.begin() as conn:
        case = await locked_case(conn, case_id)
        await cases.record_acts(conn, [Act(case_id, actor.name, "noted", text=note)])
    return case_object(deps, case, deps.clock.now())


async def locked_case(conn: AsyncConnection, case_id: str) -> Case:
    """The case under its lock. Raises NotFound."""
    case = await cases.lock(conn, case_id)
    if case is None:
        raise NotFound("No case has this id.")
    return case


async def _change(
    deps: Deps, actor: Actor, case_id: str, kind: str, change: Callable[[Case, datetime], Case]
) -> dict[str, Any]:
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        case = await locked_case(conn, case_id)
        try:
            changed = change(case, now)
        except CaseRefusal as refusal:
            raise problem_of(refusal) from None
        await _keep(conn, case, changed, actor, kind)
    return case_object(deps, changed, now)


async def _keep(conn: AsyncConnection, before: Case, after: Case, actor: Actor, kind: str) -> None:
    """Write what changed, with its act; nothing when nothing did."""
    if before != after:
        await cases.save(conn, after)
        await cases.record_acts(conn, [act_of(actor.name, kind, before, after)])
