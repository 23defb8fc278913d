"""A batch is one statement; each item gets its own result."""

from dataclasses import replace
from typing import Any

import pytest
from risk_rig import NOON, an_assessment
from sqlalchemy import text

from platform_kit.committer import CommitLost
from platform_kit.ids import new_id
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_assessments import find_assessments
from risk_engine.store.assessment_flush import NewAssessment, flush, new_row
from risk_engine.store.assessments import Wanted


def an_item(key: str, **changes: Any) -> NewAssessment:
    subject = replace(an_assessment().subject, key=key)
    return new_row(an_assessment(id=new_id("asm"), subject=subject, **changes), float("inf"))


both_ways = pytest.mark.parametrize("decision", [Decision.ALLOW, Decision.REVIEW])
"""What opens no case is stored by one statement, the rest in a transaction."""


@both_ways
async def test_one_batch_with_new_repeated_and_known_keys_answers_each(
    deps: Deps, decision: Decision
) -> None:
    known, twice, once = (an_item(key, decision=decision) for key in ("known", "twice", "once"))
    async with deps.engine.begin() as conn:
        (first,) = await flush(conn, [known])
    again = [
        an_item("known", decision=decision, fingerprint=b"other"),
        twice,
        an_item("twice", decision=decision),
        once,
    ]
    async with deps.engine.begin() as conn:
        results = await flush(conn, again)
        count = await conn.scalar(text("SELECT count(*) FROM risk.assessment"))
        events = await conn.scalar(
            text("SELECT count(*) FROM risk.outbox_event WHERE type = 'assessment.made.v1'")
        )
    assert [one.id for one in results] == [
        first.id,
        twice.answer["id"],
        twice.answer["id"],
        once.answer["id"],
    ]
    assert results[0].fingerprint == b"same request"  # of the first: the caller compares
    assert (count, events) == (3, 3)


async def stored(deps: Deps) -> tuple[int, int]:
    async with deps.engine.connect() as conn:
        counts = text(
            "SELECT (SELECT count(*) FROM risk.assessment), (SELECT count(*) FROM risk.outbox_event)"
        )
        found = (await conn.execute(counts)).one()
    return found[0], found[1]


async def test_without_a_case_to_open_one_statement_stores_and_tells(deps: Deps) -> None:
    """BEGIN and COMMIT would be two round trips more: what stands after a rollback was its own transaction."""
    items = [an_item(key, decision=Decision.ALLOW) for key in ("b", "a", "c")]
    async with deps.engine.connect() as conn:
        transaction = await conn.begin()
        await flush(conn, items)
        await transaction.rollback()
    assert await stored(deps) == (3, 3)
    async with deps.engine.connect() as conn:
        told = await conn.scalars(text("SELECT aggregate_id FROM risk.outbox_event ORDER BY seq"))
        assert list(told) == [item.assessment.id for item in items], "told in the order in which they came"


async def test_a_connection_that_is_lost_leaves_the_outcome_open_and_the_committer_finds_out(
    deps: Deps,
) -> None:
    item = an_item("a", decision=Decision.ALLOW)
    async with deps.engine.connect() as conn, deps.engine.connect() as other:
        driver: Any = (await conn.get_raw_connection()).driver_connection
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": driver.get_server_pid()})
        with pytest.raises(CommitLost):
            await flush(conn, [item])
        await conn.invalidate()
    assert (await deps.committer.submit(item)).id == item.assessment.id
    assert await stored(deps) == (1, 1)


async def test_what_is_read_back_is_what_was_answered(deps: Deps) -> None:
    item = an_item("one")
    async with deps.engine.begin() as conn:
        (stored,) = await flush(conn, [item])
    async with deps.engine.begin() as conn:
        (again,) = await flush(conn, [an_item("one")])
    assert stored.answer == again.answer == item.assessment.as_answer()


async def test_pages_follow_each_other_without_holes_or_repeats(deps: Deps) -> None:
    items = [an_item(f"{number}") for number in range(7)]
    async with deps.engine.begin() as conn:
        await flush(conn, items)
    seen, cursor = [], None
    while True:
        page = await find_assessments(deps, Wanted(), cursor, 3)
        seen += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted((item.assessment.id for item in items), reverse=True)


@both_ways
async def test_a_refused_neighbour_does_not_take_the_others_with_it(deps: Deps, decision: Decision) -> None:
    """The database refuses one item of a batch whole; the committer finds it and stores the rest."""
    import asyncio

    bad, *good = (an_item(key, decision=decision) for key in ("bad", "a", "b"))
    bad = replace(bad, assessment=replace(bad.assessment, score=101))
    outcomes = await asyncio.gather(
        *(deps.committer.submit(item) for item in (good[0], bad, good[1])), return_exceptions=True
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    page = await find_assessments(deps, Wanted(), None, 10)
    assert len(page["data"]) == 2
    assert NOON.isoformat()[:10] in page["data"][0]["expires_at"]
