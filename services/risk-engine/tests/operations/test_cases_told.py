"""What is told of a case: that it was opened, that payments joined it, how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from test_follow_payments import ADA, follow, reviewed, told

from risk_engine.domain.cases import Verdict
from risk_engine.operations.decide_case import decide_case
from risk_engine.operations.deps import Deps
from risk_engine.operations.show_cases import show_case

OF_CASES = text("SELECT type, data FROM risk.outbox_event WHERE starts_with(type, 'case.') ORDER BY seq")


async def events(deps: Deps) -> list[tuple[str, dict[str, Any]]]:
    async with deps.engine.connect() as conn:
        return [(row.type, row.data["case"]) for row in await conn.execute(OF_CASES)]


async def test_a_case_is_told_when_it_opens_grows_and_is_decided(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await reviewed(deps, 2)
    await decide_case(deps, ADA, case_id, Verdict.APPROVE, "They are the payer's.")
    (opened, first), (updated, second), (decided, last) = await events(deps)
    assert (opened, updated, decided) == ("case.opened.v1", "case.updated.v1", "case.decided.v1")
    assert [one["payment_count"] for one in (first, second, last)] == [1, 2, 2]
    assert {one["id"] for one in (first, second, last)} == {case_id}
    assert datetime.fromisoformat(last["due_at"]) <= datetime.fromisoformat(first["due_at"])
    assert last["opened_at"] == first["opened_at"] == (await show_case(deps, case_id))["opened_at"]
    assert first["closed_at"] is None


async def test_a_case_that_ends_without_a_verdict_is_told(deps: Deps) -> None:
    case_id = await reviewed(deps, 1)
    await follow(deps, told(1, "declined"))
    (_, (kind, case)) = await events(deps)
    assert (kind, case["id"]) == ("case.closed.v1", case_id)
    assert case["closed_at"] == (await show_case(deps, case_id))["closed_at"]
