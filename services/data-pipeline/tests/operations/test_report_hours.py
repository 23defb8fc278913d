"""Reports that are added up from hours: equal to what their expression counts, and counted anew where facts changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pipeline_rig import NOON, World, a_journal, a_payment, a_sale, an_event, ingest
from seeded_day import fill
from sqlalchemy import text

from data_pipeline.domain.questions import Grain, Question, ask
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.report_hours import ADDED_UP, HOUR, adds_up, stretches
from data_pipeline.domain.reports import REPORTS
from data_pipeline.operations.add_up_hours import AddedUp, add_up_hours, keep_hours, prepare_statements
from data_pipeline.operations.complete_rollups import complete_rollups
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.keep_report_hours import keep_report_hours
from data_pipeline.operations.run_report import at_one_moment, run_live_report
from data_pipeline.store import report_hours as hour_store
from data_pipeline.store import reports as report_store
from platform_kit.clock import FixedClock

SINCE = NOON - timedelta(days=2, minutes=17)
LONG_AGO = NOON - timedelta(hours=30, minutes=20)


@pytest.fixture
async def filled(deps: Deps, world: World) -> Deps:
    """The hour before noon, and one sale of the day before."""
    seeded = await fill(deps, world, NOON)
    await ingest(deps.engine, [a_sale(len(seeded.payments) + 1, 900, at=LONG_AGO, created_at=told(LONG_AGO))])
    return deps


def told(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def a_question(name: ReportName = ReportName.VOLUME, **asked: Any) -> Question:
    return ask(name, SINCE, NOON + timedelta(minutes=3), **asked)


async def counted(deps: Deps, question: Question) -> list[dict[str, Any]]:
    """By the report's own expression."""
    async with deps.engine.begin() as conn:
        rows = await report_store.read(conn, question, 10_000)
    return [
        {name: value if isinstance(value, str) else int(value) for name, value in row.items()} for row in rows
    ]


async def added(deps: Deps, question: Question) -> AddedUp:
    async with deps.engine.begin() as conn:
        await at_one_moment(conn)
        found = await add_up_hours(conn, question)
    assert found is not None
    await keep_hours(deps, found)
    return found


async def last_position(deps: Deps) -> int:
    async with deps.engine.connect() as conn:
        return int(await conn.scalar(text("SELECT max(position) FROM pipeline.fact_payment")) or 0)


async def a_refund(deps: Deps, number: int = 900) -> None:
    """Half of the sale of the day before goes back now."""
    payment = a_payment(number, created_at=told(LONG_AGO), refunded_minor=600, version=3)
    journal = a_journal(number, 600, refund=True)
    event = an_event(await last_position(deps) + 50, "refund.succeeded.v1", payment=payment, journal=journal)
    await ingest(deps.engine, [event])


@pytest.mark.parametrize("name", sorted(ADDED_UP))
async def test_hours_add_up_to_what_the_expression_counts(filled: Deps, name: ReportName) -> None:
    options = [one for one in REPORTS[name].options if one != "merchant_id"]
    filters = [one for one in REPORTS[name].filters if one == "currency"]
    questions = [a_question(name, grain=grain) for grain in Grain]
    questions += [a_question(name, grain=grain, zone="Asia/Tokyo", by=options) for grain in Grain]
    questions += [a_question(name, filters=dict.fromkeys(filters, "EUR"))]
    questions += [
        replace(a_question(name), after=NOON - timedelta(minutes=50), before=NOON - timedelta(minutes=9))
    ]
    for question in questions:
        assert adds_up(question)
        for _ in ("counted", "kept"):
            assert (await added(filled, question)).rows == await counted(filled, question), question
    assert await counted(filled, questions[0]) != []


async def test_an_hour_that_did_not_change_is_not_counted_again(filled: Deps) -> None:
    first = await added(filled, a_question())
    assert len(first.new) == 48
    assert (await added(filled, a_question(grain=Grain.DAY))).new == {}
    await a_refund(filled)
    second = await added(filled, a_question())
    assert list(second.new) == [LONG_AGO.replace(minute=0)]
    assert second.rows == await counted(filled, a_question()) != first.rows


async def test_after_another_consumer_everything_is_counted_again(filled: Deps) -> None:
    await added(filled, a_question())
    await complete_rollups(filled)
    assert len((await added(filled, a_question())).new) == 48


async def test_what_was_counted_before_a_change_is_not_kept_for_what_is_after_it(filled: Deps) -> None:
    """A slow reader saves what it saw; who reads after the change does not take it."""
    async with filled.engine.begin() as conn:
        await at_one_moment(conn)
        slow = await add_up_hours(conn, a_question())
    assert slow is not None
    await a_refund(filled)
    await keep_hours(filled, slow)
    assert (await added(filled, a_question())).rows == await counted(filled, a_question())


async def test_the_job_counts_before_anybody_asks(filled: Deps) -> None:
    assert await keep_report_hours(filled) > 0
    until = NOON.replace(minute=0)
    for name in ADDED_UP:
        assert (await added(filled, ask(name, until - timedelta(days=7), until))).new == {}
    assert await keep_report_hours(filled) == 0
    await keep_report_hours(replace(filled, clock=FixedClock(NOON + timedelta(days=400))), budget_s=-1)
    async with filled.engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM pipeline.report_hour")) == 0


async def test_a_report_that_is_read_is_that_of_its_expression(
    filled: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = a_question(grain=Grain.DAY, by=["channel"])
    told = await run_live_report(filled, question)
    monkeypatch.setattr("data_pipeline.operations.run_report.adds_up", lambda question: False)
    assert told == await run_live_report(filled, question)


async def test_an_answer_does_not_fail_because_nothing_can_be_kept(filled: Deps) -> None:
    found = await added(filled, a_question())
    broken = replace(found, new={LONG_AGO: [{}]}, seen=hour_store.Counted({}, -(2**70), {}))
    with pytest.raises(KeyError):
        await keep_hours(filled, broken)  # what is no row is a mistake of ours, and is told
    assert await keep_hours(filled, replace(broken, new={LONG_AGO: []})) == 0


async def test_with_its_statement_prepared_a_plain_question_makes_none(
    filled: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_store, "_KEPT", {})
    prepare_statements()
    monkeypatch.delattr(report_store, "compiled")
    assert (await added(filled, a_question(grain=Grain.DAY, filters={"currency": "EUR"}))).rows != []


def test_what_hours_cannot_answer_is_counted_whole() -> None:
    assert not adds_up(a_question(ReportName.LATENCY))
    assert not adds_up(a_question(ReportName.CHARGEBACKS))
    assert not adds_up(a_question(zone="Asia/Kolkata"))
    assert not adds_up(a_question(by=["merchant_id"]))
    assert not adds_up(a_question(filters={"merchant_id": "mer_1"}))
    assert not adds_up(replace(a_question(), after=NOON - timedelta(days=93)))


def test_of_many_gaps_the_widest_stay_out() -> None:
    hours = [NOON + n * HOUR for n in (0, 1, 5, 7, 30, 31)]
    assert [(one.after, one.before) for one in stretches(hours, 2)] == [
        (NOON, NOON + 8 * HOUR), (NOON + 30 * HOUR, NOON + 32 * HOUR),
    ]  # fmt: skip
    assert len(stretches(hours)) == 4
    assert stretches([]) == []
