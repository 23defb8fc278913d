"""Explanations: for what was not allowed, once, by the model that scored it, in slices."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from risk_rig import FixedScorer, an_assessment, facts_of
from sqlalchemy import text

from platform_kit.clock import FixedClock
from risk_engine.clients.model import LightGbmScorer
from risk_engine.domain.assessment import Assessment
from risk_engine.domain.decision import Decision
from risk_engine.domain.reason_codes import REASON_CODES
from risk_engine.operations import explain_decisions as operation
from risk_engine.operations.deps import Deps
from risk_engine.operations.explain_decisions import explain_decisions
from risk_engine.operations.find_assessments import find_assessment
from risk_engine.store.assessment_flush import flush, new_row

ODD = {  # four payments of a usual 10 euro, then one of 500
    "customer_count_1d": 2, "customer_sum_1d": 51_000, "customer_count_7d": 5, "customer_sum_7d": 54_000,
    "customer_count_30d": 30, "customer_sum_30d": 79_000, "amount_reference_minor": 50_000,
}  # fmt: skip


def scored(deps: Deps, number: int, **changes: object) -> Assessment:
    assert isinstance(deps.scorer, LightGbmScorer)
    made = an_assessment(number, model=deps.scorer.hash, score=80, degraded=(), facts=facts_of(**ODD))
    return replace(made, **changes)  # type: ignore[arg-type]


async def store(deps: Deps, *assessments: Assessment) -> None:
    async with deps.engine.begin() as conn:
        await flush(conn, [new_row(one, float("inf")) for one in assessments])


async def test_a_reviewed_payment_is_explained_by_what_raised_its_score(deps: Deps) -> None:
    assessment = scored(deps, 1)
    await store(deps, assessment)
    assert (await find_assessment(deps, assessment.id))["explanation"] is None
    assert await explain_decisions(deps) == 1
    explanation = (await find_assessment(deps, assessment.id))["explanation"]
    assert explanation["model"] == assessment.model
    reasons = explanation["reasons"]
    assert "model_amount_month" in {one["code"] for one in reasons}
    assert all(one["text"] == REASON_CODES[one["code"]].reviewer for one in reasons)
    contributions = [one["contribution"] for one in reasons]
    assert contributions == sorted(contributions, reverse=True)
    assert min(contributions) > 0
    assert len(reasons) <= 5


async def test_what_was_allowed_or_decided_without_the_model_is_not_explained(deps: Deps) -> None:
    await store(
        deps,
        scored(deps, 1, decision=Decision.ALLOW),
        scored(deps, 2, model=None),
        scored(deps, 3, model="f" * 64),  # another model's: its trees are not here
    )
    assert await explain_decisions(deps) == 0


async def test_each_is_explained_once_also_by_two_workers(deps: Deps) -> None:
    await store(deps, *(scored(deps, number) for number in range(10)))
    assert sum(await asyncio.gather(explain_decisions(deps), explain_decisions(deps))) == 10
    assert await explain_decisions(deps) == 0
    async with deps.engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM risk.explanation")) == 10


async def test_a_run_is_bounded_and_the_next_one_goes_on(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "SLICE", 2)
    monkeypatch.setattr(operation, "SLICES_MAX", 3)
    await store(deps, *(scored(deps, number) for number in range(10)))
    assert [await explain_decisions(deps) for _ in range(3)] == [6, 4, 0]


async def test_an_assessment_committed_late_is_not_passed_over(deps: Deps) -> None:
    """Its id is lower than one that is explained already."""
    early, late = scored(deps, 1), scored(deps, 2)
    await store(deps, late)
    assert await explain_decisions(deps) == 1
    await store(deps, early)
    assert early.id < late.id
    assert await explain_decisions(deps) == 1


async def test_a_look_begins_where_the_last_one_ended_and_all_of_it_is_seen_once_an_hour(deps: Deps) -> None:
    """What is committed later than two minutes after its id was made waits for the hour."""
    began = deps.clock.now()

    def at(minutes: int) -> Deps:
        return replace(deps, clock=FixedClock(began + timedelta(minutes=minutes)))

    late = scored(deps, 1)
    assert await explain_decisions(at(10)) == 0
    await store(deps, late)
    assert await explain_decisions(at(11)) == 0
    assert await explain_decisions(at(71)) == 1


async def test_what_is_older_than_a_day_is_left(deps: Deps) -> None:
    await store(deps, scored(deps, 1))
    later = replace(deps, clock=FixedClock(deps.clock.now() + timedelta(days=1, minutes=1)))
    assert await explain_decisions(later) == 0


async def test_without_a_model_that_explains_nothing_happens(deps: Deps) -> None:
    await store(deps, scored(deps, 1))
    assert await explain_decisions(replace(deps, scorer=FixedScorer(90))) == 0
    assert await explain_decisions(replace(deps, scorer=None)) == 0
