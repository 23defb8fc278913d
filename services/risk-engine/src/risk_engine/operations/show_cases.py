"""Show cases: the queue, and one case with its payments, what is related to them, and its history."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from platform_kit.clock import isoformat, isoformat_or_none
from platform_kit.problems import NotFound, Problem
from risk_engine.domain.appeals import effect_of_appeal
from risk_engine.domain.case_effects import PaymentStatus, effect_of
from risk_engine.domain.cases import Case, CaseKind, CaseStatus
from risk_engine.domain.reviews import HELD_ALONE
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_related import related_to
from risk_engine.store import appeals, cases
from risk_engine.store.cases import Filter

ACTS_SHOWN = 200  # the newest


class UnknownCursor(Problem):
    status, code, title = 422, "unknown-cursor", "The cursor is not one of ours"


def case_object(deps: Deps, case: Case, now: datetime) -> dict[str, Any]:
    """What a list shows of a case. `amount_reference_minor` is in minor units of `reference_currency`, which is one for
    good."""
    return {
        "id": case.id,
        "object": "case",
        "kind": case.kind,
        "merchant_id": case.merchant_id,
        "status": case.status,
        "priority": case.priority,
        "amount_reference_minor": case.amount_reference_minor,
        "reference_currency": deps.rules.compiled.rule_set.reference_currency,
        "payment_count": case.payment_count,
        "opened_at": isoformat(case.opened_at),
        "due_at": isoformat(case.due_at),
        "overdue": case.is_overdue(now),
        "assignee": case.assignee,
        "locked_by": case.holder(now),
        "locked_until": isoformat_or_none(case.locked_until) if case.holder(now) else None,
        "proposed": case.proposed,
        "proposed_by": case.proposed_by,
        "verdict": case.verdict,
        "closed_by": case.closed_by,
        "closed_at": isoformat_or_none(case.closed_at),
    }


async def list_cases(
    deps: Deps,
    *,
    status: CaseStatus | None,
    assignee: str | None,
    overdue: bool,
    kind: CaseKind | None,
    cursor: str | None,
    limit: int,
) -> dict[str, Any]:
    """A page: cases that are not closed by urgency, closed ones newest first. Raises UnknownCursor."""
    now = deps.clock.now()
    wanted = Filter(status, assignee, now if overdue else None, kind)
    async with deps.engine.connect() as conn:
        after = await cases.find(conn, cursor) if cursor is not None else None
        if cursor is not None and after is None:
            raise UnknownCursor("Send the `next_cursor` of the page before.")
        found = await cases.page(conn, wanted, after, limit + 1)
    shown = [case_object(deps, case, now) for case in found[:limit]]
    return {"data": shown, "next_cursor": found[limit - 1].id if len(found) > limit else None}


async def show_case(deps: Deps, case_id: str) -> dict[str, Any]:
    """One case with everything about it. Raises NotFound."""
    async with deps.engine.connect() as conn:
        case = await cases.find(conn, case_id)
        if case is None:
            raise NotFound("No case has this id.")
        payments = await cases.payments_of(conn, case_id)
        acts = await cases.acts_of(conn, case_id, ACTS_SHOWN)
        appeal = await appeals.of_case(conn, case_id) if case.kind is CaseKind.APPEAL else None
        assessed = [row for row in reversed(payments) if row.assessment_id]
        related = await related_to(
            deps, conn, case.merchant_id, {row.assessment_id: row.request for row in assessed}
        )
    return case_object(deps, case, deps.clock.now()) | {
        "payments": [_payment_object(case, row) for row in payments],
        "related": related,
        "acts": _act_objects(acts),
        "appeal": appeal,
    }


def _payment_object(case: Case, row: Any) -> dict[str, Any]:
    if case.kind is CaseKind.APPEAL:
        effect = effect_of_appeal(case.verdict)
    else:
        effect = effect_of(case.verdict, PaymentStatus(row.payment_status), is_manual=row.is_manual)
    return {
        "payment_id": row.payment_id,
        "assessment_id": row.assessment_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "score": row.score,
        "reasons": row.reasons if row.assessment_id else [asdict(HELD_ALONE)],
        "request": row.request,
        "added_at": isoformat(row.added_at),
        "status": row.payment_status,
        "effect": {"code": effect.code, "text": effect.text} if effect else None,
    }


def _act_objects(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "at": isoformat(row.at),
            "actor": row.actor,
            "kind": row.kind,
            "before": row.before,
            "after": row.after,
            "text": row.text,
        }
        for row in rows
    ]
