"""A case is opened with the assessment that wants it, and gathers what follows, whoever else writes meanwhile."""

import asyncio
import random
from datetime import timedelta
from typing import Any

from risk_rig import NOON, a_subject, an_assessment
from sqlalchemy import text

from risk_engine.domain import cases as machine
from risk_engine.domain.cases import PAYMENTS_MAX, Case, CaseStatus
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.store import case_intake, cases
from risk_engine.store.assessment_flush import NewAssessment, flush, new_row
from risk_engine.store.cases import Filter


def an_item(number: int, decision: Decision = Decision.REVIEW, **subject: Any) -> NewAssessment:
    made = an_assessment(number, subject=a_subject(number, **subject), decision=decision, degraded=())
    return new_row(made, float("inf"))


async def flushed(deps: Deps, *items: NewAssessment) -> None:
    async with deps.engine.begin() as conn:
        await flush(conn, items)


async def open_cases(deps: Deps) -> list[Case]:
    async with deps.engine.connect() as conn:
        return await cases.page(conn, Filter(), None, 1000)


async def payments(deps: Deps) -> dict[str, str]:
    """Payment -> its case."""
    async with deps.engine.connect() as conn:
        rows = await conn.execute(text("SELECT payment_id, case_id FROM risk.case_payment"))
        return {row.payment_id: row.case_id for row in rows}


async def close(deps: Deps, case: Case) -> None:
    async with deps.engine.begin() as conn:
        locked = await cases.lock(conn, case.id)
        assert locked is not None
        await cases.save(conn, machine.closed(locked, "ada", NOON))


async def test_only_a_reviewed_payment_opens_a_case_and_a_repetition_opens_none(deps: Deps) -> None:
    await flushed(deps, *(an_item(n, decision, card=f"c{n}") for n, decision in enumerate(Decision)))
    await flushed(deps, an_item(1, card="c1"))  # the same key again
    (case,) = await open_cases(deps)
    assert (case.payment_count, case.status, case.merchant_id) == (1, "open", "mer_1")
    assert await payments(deps) == {"pay_1": case.id}


async def test_a_case_is_rolled_back_with_its_assessment(deps: Deps) -> None:
    async with deps.engine.connect() as conn:
        await conn.begin()
        await flush(conn, [an_item(1)])
        await conn.rollback()
    assert await open_cases(deps) == []


async def test_what_shares_a_card_or_a_customer_joins_the_open_case(deps: Deps) -> None:
    await flushed(deps, an_item(1, card="a", customer_id="x"))
    await flushed(deps, an_item(2, card="b", customer_id="x"))
    await flushed(deps, an_item(3, card="b", customer_id=""), an_item(4, card="c", customer_id="y"))
    await flushed(deps, an_item(5, card="a", customer_id="x", merchant_id="mer_2"))
    found = await payments(deps)
    assert found["pay_1"] == found["pay_2"] == found["pay_3"]
    assert len(set(found.values())) == 3, (
        "another card and customer, and another merchant, have cases of their own"
    )
    sizes = {case.id: case.payment_count for case in await open_cases(deps)}
    assert sizes[found["pay_1"]] == 3


async def test_a_payment_between_two_open_cases_joins_the_older_one(deps: Deps) -> None:
    await flushed(deps, an_item(1, card="a", customer_id="x"))
    await flushed(deps, an_item(2, card="b", customer_id="y"))
    await flushed(deps, an_item(3, card="b", customer_id="x"))
    await flushed(deps, an_item(4, card="b", customer_id=""))
    found = await payments(deps)
    assert found["pay_3"] == found["pay_4"] == found["pay_1"]


async def test_after_it_is_closed_the_next_payment_opens_another(deps: Deps) -> None:
    await flushed(deps, an_item(1))
    (first,) = await open_cases(deps)
    await close(deps, first)
    await flushed(deps, an_item(2))
    (second,) = await open_cases(deps)
    assert second.id != first.id
    assert (second.status, second.payment_count) == (CaseStatus.OPEN, 1)


async def test_a_full_case_takes_no_more(deps: Deps) -> None:
    await flushed(deps, *(an_item(n) for n in range(PAYMENTS_MAX)))
    await flushed(deps, an_item(PAYMENTS_MAX))
    assert sorted(case.payment_count for case in await open_cases(deps)) == [1, PAYMENTS_MAX]


async def test_many_writers_of_the_same_few_cards_neither_deadlock_nor_lose_a_payment(deps: Deps) -> None:
    """Eight connections, entities shared crosswise, cases closed meanwhile."""
    chosen, number = random.Random(7), iter(range(10_000))

    async def write() -> None:
        for _ in range(12):
            items = [
                an_item(next(number), card=f"c{chosen.randrange(5)}", customer_id=f"x{chosen.randrange(5)}")
                for _ in range(4)
            ]
            await flushed(deps, *items)

    async def shut() -> None:
        for _ in range(15):
            for case in (await open_cases(deps))[:2]:
                await close(deps, case)

    async with asyncio.timeout(60):
        await asyncio.gather(*(write() for _ in range(6)), shut(), shut())
    async with deps.engine.connect() as conn:
        written = await conn.scalar(text("SELECT count(*) FROM risk.assessment"))
        wrong = await conn.scalar(
            text("""
                SELECT count(*) FROM risk.review_case c WHERE payment_count <> (
                    SELECT count(*) FROM risk.case_payment p WHERE p.case_id = c.id)
            """)
        )
        lost = await conn.scalar(
            text("""
                SELECT count(*) FROM risk.case_payment p
                WHERE NOT EXISTS (SELECT 1 FROM risk.review_case c WHERE c.id = p.case_id)
            """)
        )
    assert (len(await payments(deps)), wrong, lost) == (written, 0, 0)
    assert written == 6 * 12 * 4


async def test_a_payment_never_joins_a_case_that_is_being_closed(deps: Deps) -> None:
    """The closing transaction holds the row: the flush opens another case, and waits for nobody."""
    await flushed(deps, an_item(1))
    (case,) = await open_cases(deps)
    async with deps.engine.begin() as conn:
        locked = await cases.lock(conn, case.id)
        assert locked is not None
        async with asyncio.timeout(20):
            await flushed(deps, an_item(2), an_item(3, card="other", customer_id="other"))
        await cases.save(conn, machine.closed(locked, "ada", NOON))
    found = await payments(deps)
    assert found["pay_2"] != found["pay_1"] == case.id
    await flushed(deps, an_item(4))
    assert (await payments(deps))["pay_4"] == found["pay_2"], "what follows joins the case that is open"


async def test_entities_of_cases_that_were_closed_long_ago_are_forgotten(deps: Deps) -> None:
    await flushed(deps, an_item(1, card="a"), an_item(2, card="b", customer_id="y"))
    first = next(case for case in await open_cases(deps) if case.payment_count == 1)
    await close(deps, first)
    async with deps.engine.begin() as conn:
        assert await case_intake.forget_entities(conn, NOON) == 0
        assert await case_intake.forget_entities(conn, NOON + timedelta(seconds=1)) == 3, (
            "the payment, its card, its customer"
        )


async def test_two_people_who_ask_at_once_get_two_cases(deps: Deps) -> None:
    await flushed(deps, *(an_item(n, card=f"c{n}", customer_id=f"x{n}") for n in range(2)))
    async with deps.engine.begin() as first, deps.engine.begin() as second:
        one = await cases.lock_next(first, "ada", NOON)
        other = await cases.lock_next(second, "bob", NOON)
        async with deps.engine.begin() as third:
            assert await cases.lock_next(third, "cyd", NOON) is None
    assert one is not None
    assert other is not None
    assert one.id != other.id


async def test_the_next_case_is_found_by_its_index_and_nothing_is_sorted(deps: Deps) -> None:
    """A queue of 3,000, of which the first 500 are somebody else's."""
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("""
                INSERT INTO risk.review_case (id, merchant_id, status, priority, amount_reference_minor, is_unsized,
                                              payment_count, opened_at, due_at, assignee)
                SELECT 'cas_' || n, 'mer_1', 'open', 'low', 1, false, 1, now(), now() + n * interval '1 s',
                       CASE WHEN n <= 500 THEN 'bob' END
                FROM generate_series(1, 3000) AS n
            """)
        )
    async with deps.engine.begin() as conn:
        # Without statistics the planner guesses at a handful of rows: can the indexes give the order at all?
        for node in ("seqscan", "bitmapscan", "sort"):
            await conn.execute(text(f"SET LOCAL enable_{node} = off"))
        found = await cases.lock_next(conn, "ada", NOON)
        plans = [
            "\n".join(
                (await conn.execute(text(f"EXPLAIN {query.text}"), {"actor": "ada", "now": NOON})).scalars()
            )
            for query in (cases.HELD, cases.ASSIGNED, cases.FREE)
        ]
    assert found is not None
    assert found.id == "cas_501"
    assert all("Index Scan" in plan and "Sort" not in plan for plan in plans), plans
