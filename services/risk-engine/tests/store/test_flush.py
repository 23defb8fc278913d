"""A batch is one statement; each item gets its own result."""

from dataclasses import replace
from typing import Any

from risk_rig import NOON, an_assessment
from sqlalchemy import text

from platform_kit.ids import new_id
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_assessments import find_assessments
from risk_engine.store.assessments import NewAssessment, Wanted, flush, new_row


def an_item(key: str, **changes: Any) -> NewAssessment:
    subject = replace(an_assessment().subject, key=key)
    return new_row(an_assessment(id=new_id("asm"), subject=subject, **changes), float("inf"))


async def test_one_batch_with_new_repeated_and_known_keys_answers_each(deps: Deps) -> None:
    known, twice, once = an_item("known"), an_item("twice"), an_item("once")
    async with deps.engine.begin() as conn:
        (first,) = await flush(conn, [known])
    again = [an_item("known", fingerprint=b"other"), twice, an_item("twice"), once]
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


async def test_a_refused_neighbour_does_not_take_the_others_with_it(deps: Deps) -> None:
    """The database refuses one item of a batch whole; the committer finds it and stores the rest."""
    import asyncio

    bad = an_item("bad")
    bad = replace(bad, assessment=replace(bad.assessment, score=101))
    outcomes = await asyncio.gather(
        *(deps.committer.submit(item) for item in (an_item("a"), bad, an_item("b"))), return_exceptions=True
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    page = await find_assessments(deps, Wanted(), None, 10)
    assert len(page["data"]) == 2
    assert NOON.isoformat()[:10] in page["data"][0]["expires_at"]
