"""Facts of attempts to send webhooks and of review cases, and what reports say of them."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from pipeline_rig import NOON, a_case, ingest, rows, some_attempts
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.event_sources import RISK
from data_pipeline.domain.questions import ask
from data_pipeline.domain.report_definition import ReportName, with_ratios
from data_pipeline.domain.reports import REPORTS
from data_pipeline.store import reports as report_store
from platform_kit.clock import isoformat

AN_HOUR = timedelta(hours=1)


async def report(engine: AsyncEngine, name: ReportName) -> list[dict[str, Any]]:
    question = ask(name, NOON - timedelta(hours=12), NOON + timedelta(hours=12))
    async with engine.connect() as conn:
        return [with_ratios(REPORTS[name], row) for row in await report_store.read(conn, question, 100)]


async def test_attempts_count_once_and_the_report_says_how_well_an_endpoint_does(engine: AsyncEngine) -> None:
    told = [
        some_attempts(1, "delivered"),
        some_attempts(2, "due", "dead"),
        some_attempts(3, "due", "delivered"),
    ]
    await ingest(engine, told)
    await ingest(engine, told)
    found = await rows(engine, "fact_webhook_attempt", order="position, line")
    assert [row["outcome"] for row in found] == ["delivered", "retried", "given_up", "retried", "delivered"]
    assert [row["waited_ms"] for row in found] == [80, 80, None, 80, None]
    [row] = await report(engine, ReportName.WEBHOOKS)
    assert (row["attempt_count"], row["first_count"], row["p95_ms"]) == (5, 3, 30)
    assert (row["delivery_rate"], row["first_time_rate"]) == (2 / 3, 1 / 3)


@pytest.mark.parametrize("seed", range(3))
async def test_a_case_ends_once_in_whatever_order_it_is_told(engine: AsyncEngine, seed: int) -> None:
    due = isoformat(NOON + timedelta(hours=2))
    verdict = {"verdict": "approve", "proposed_by": "bob", "decided_at": isoformat(NOON + AN_HOUR)}
    events = [
        a_case(1),
        a_case(2, "case.updated.v1", payment_count=2, due_at=due),
        a_case(3, "case.decided.v1", payment_count=2, due_at=due, **verdict),
    ]
    random.Random(seed).shuffle(events)
    for event in events:
        await ingest(engine, [event], RISK)
    [case] = await rows(engine, "fact_case")
    assert (case["status"], case["payment_count"], case["had_proposal"]) == ("approved", 2, True)
    assert (case["opened_at"], case["decided_at"]) == (NOON, NOON + AN_HOUR)


async def test_the_reports_count_verdicts_time_and_what_waits(engine: AsyncEngine) -> None:
    def verdict(word: str, after: timedelta) -> dict[str, str | None]:
        return {"verdict": word, "proposed_by": None, "decided_at": isoformat(NOON + after)}

    events = [
        a_case(1, "case.decided.v1", 1, **verdict("approve", AN_HOUR)),
        a_case(2, "case.decided.v1", 2, **verdict("reject", 5 * AN_HOUR)),
        a_case(3, "case.closed.v1", 3, closed_at=isoformat(NOON + AN_HOUR)),
        a_case(4, number=4),
        a_case(
            5, "case.decided.v1", 5, opened_at=None, **verdict("reject", AN_HOUR)
        ),  # told by an older release
    ]
    await ingest(engine, events, RISK)
    [cases] = await report(engine, ReportName.CASES)
    assert (cases["case_count"], cases["decided_count"], cases["in_time_count"]) == (4, 2, 1)
    assert (cases["ended_count"], cases["open_count"], cases["overdue_count"]) == (1, 1, 1)
    assert (cases["overturn_rate"], cases["in_time_rate"]) == (0.5, 0.5)
    assert (cases["p50_ms"], cases["max_ms"]) == (3_600_000, 18_000_000)
    [waiting] = await report(engine, ReportName.CASE_AGEING)
    assert (waiting["case_count"], waiting["overdue_count"], waiting["age_band"]) == (1, 1, "0-1 days")
