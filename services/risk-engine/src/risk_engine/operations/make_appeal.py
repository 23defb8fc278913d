"""Ask that a person look again at a decision: the appeal and its case are one commit."""

from typing import Any

from platform_kit import canonical, outbox
from platform_kit.ids import new_id
from platform_kit.problems import NotFound, Problem
from risk_engine.domain import appeals as machine
from risk_engine.domain.appeals import UNDECIDED_MAX, AppealRefusal, AppealStatus, Appellant
from risk_engine.domain.cases import Act
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.operations.snooze_rules import UnknownAssessment
from risk_engine.store import appeals, assessments, case_intake, cases, tables
from risk_engine.store.appeal_events import MADE, appeal_event


class NothingToAppeal(Problem):
    status, code, title = 409, "nothing-to-appeal", "The decision did not stop the payment"


class StillInReview(Problem):
    status, code, title = 409, "still-in-review", "The payment is being looked at"


class TooManyAppeals(Problem):
    status, code, title = (
        409,
        "too-many-appeals",
        "So many of this merchant's appeals wait that no more are taken",
    )


_PROBLEMS: dict[type[AppealRefusal], type[Problem]] = {
    machine.NothingToAppeal: NothingToAppeal,
    machine.StillInReview: StillInReview,
}


async def make_appeal(
    deps: Deps, recorded_by: str, *, merchant_id: str, assessment_id: str, by: Appellant, reason: str
) -> tuple[dict[str, Any], bool]:
    """The appeal, and whether it is new: asked again, it is the one that there is, with what came of it.

    Raises UnknownAssessment, NothingToAppeal, StillInReview, TooManyAppeals."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        found = await assessments.find(conn, assessment_id)
        if found is None or found["merchant_id"] != merchant_id:
            raise UnknownAssessment("Name the assessment that the merchant's payment carries in `risk`.")
        await appeals.lock(conn, merchant_id)
        if earlier := await appeals.of_assessment(conn, assessment_id):
            return earlier, False
        reviewed = await cases.find_reviewed(conn, assessment_id)
        try:
            machine.check_appealable(Decision(found["decision"]), reviewed)
        except AppealRefusal as refusal:
            raise _PROBLEMS[type(refusal)](str(refusal)) from None
        if await appeals.count_undecided(conn, merchant_id) >= UNDECIDED_MAX:
            raise TooManyAppeals(f"At most {UNDECIDED_MAX} wait: send it when some are answered.")
        case = machine.appealed(new_id("cas"), found, reviewed, now)
        values = {
            "id": new_id("apl"),
            "merchant_id": merchant_id,
            "assessment_id": assessment_id,
            "payment_id": found["payment_id"],
            "case_id": case.id,
            "made_by": by.value,
            "reason": reason,
            "recorded_by": recorded_by,
            "made_at": now,
        }
        await case_intake.open_case(conn, case)
        await appeals.add(conn, values)
        await cases.record_acts(
            conn, [Act(case.id, recorded_by, "appealed", after={"by": by.value}, text=reason)]
        )
        made = await appeals.of_case(conn, case.id)
        assert made is not None
        await outbox.append(conn, tables.outbox, [appeal_event(MADE, made, now)])
    canonical.add(appeal_id=made["id"], case_id=case.id)
    return made, True


async def show_appeal(deps: Deps, appeal_id: str) -> dict[str, Any]:
    """One appeal. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await appeals.find(conn, appeal_id)
    if found is None:
        raise NotFound("No appeal has this id.")
    return found


async def list_appeals(
    deps: Deps, *, merchant_id: str | None, status: AppealStatus | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page, newest first."""
    async with deps.engine.connect() as conn:
        rows = await appeals.page(
            conn, merchant_id=merchant_id, status=status, before=cursor, limit=limit + 1
        )
    return {"data": rows[:limit], "next_cursor": rows[limit - 1]["id"] if len(rows) > limit else None}
