"""Planted differences between what the gateway acted upon and what is stored: each is told once, and nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from risk_rig import NOON, a_subject, an_assessment, settings_for
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.outbox import Event
from risk_engine.domain.acted_decisions import ActedDecision, Difference
from risk_engine.domain.decision import Decision
from risk_engine.operations import metrics, watch_decisions
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.forget_old_rows import ALERTS_KEPT, forget_old_rows
from risk_engine.operations.record_outcomes import record_outcomes
from risk_engine.store import acted_decisions
from risk_engine.store.assessment_flush import flush, new_row


def soon() -> datetime:
    """When all that a test recorded is settled."""
    return datetime.now(UTC) + watch_decisions.SETTLED_AFTER + timedelta(seconds=1)


async def stored(deps: Deps, *numbers: int, merchant_id: str = "mer_1") -> None:
    """Assessments asm_1, asm_2 …, all `allow`."""
    items = [
        new_row(
            an_assessment(
                n,
                id=f"asm_{n}",
                decision=Decision.ALLOW,
                subject=a_subject(n, merchant_id=merchant_id),
                degraded=(),
            ),
            float("inf"),
        )
        for n in numbers
    ]
    async with deps.engine.begin() as conn:
        await flush(conn, items)


async def ended(deps: Deps, number: int, risk: dict[str, Any] | None, kind: str = "captured") -> None:
    """The gateway told that a payment ended, and by what."""
    payment = {
        "id": f"pay_{number}",
        "merchant_id": "mer_1",
        "amount_minor": 1250,
        "captured_minor": 1250,
        "currency": "EUR",
        "risk": risk,
    }
    event = Event(
        f"evt_{number}{kind}",
        f"payment.{kind}.v1",
        payment["id"],
        {"payment": payment},
        NOON,
        "mer_1",
        None,
        number,
    )
    async with deps.engine.begin() as conn:
        await record_outcomes(conn, [event])


def acted_on(number: int, decision: str = "allow") -> dict[str, Any]:
    """The payment's `risk` member, as the gateway keeps it."""
    return {
        "assessment_id": f"asm_{number}",
        "decision": decision,
        "score": 1,
        "reasons": [],
        "fallback": False,
    }


ALONE = {"assessment_id": None, "decision": "allow", "score": None, "reasons": [], "fallback": True}


async def alerts(deps: Deps) -> dict[str, dict[str, Any]]:
    """Scope -> alert."""
    found = (await find_alerts(deps, None, 20, kind="decision_differs"))["data"]
    return {one["scope"]: one for one in found}


async def test_each_planted_difference_is_told_and_the_others_are_not(deps: Deps) -> None:
    await stored(deps, 1, 2, 3)
    await stored(deps, 4, merchant_id="mer_2")
    await ended(deps, 1, acted_on(1))
    await ended(deps, 2, acted_on(2, "block"), "declined")  # stored: allow
    await ended(deps, 3, acted_on(3), "failed")
    await ended(deps, 4, acted_on(4))  # another merchant's
    await ended(deps, 5, acted_on(5))  # not stored
    await ended(deps, 6, None)
    await ended(deps, 7, ALONE)
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 7
    told = await alerts(deps)
    assert {scope: sorted(one["details"]["measures"]["payments"]) for scope, one in told.items()} == {
        "other_decision": ["pay_2"],
        "unknown_assessment": ["pay_4", "pay_5"],
        "unassessed": ["pay_6"],
    }
    assert {one["severity"] for one in told.values()} == {"critical"}


async def test_where_both_sides_agree_nothing_is_told(deps: Deps) -> None:
    await stored(deps, 1)
    await ended(deps, 1, acted_on(1))
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 1
    assert await alerts(deps) == {}


async def test_a_decision_that_somebody_edited_in_the_database_is_found(
    fresh_database: FreshDatabase, clean_redis_url: str
) -> None:
    database = await fresh_database("risk")
    owner = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as deps:
        await stored(deps, 1)
        async with owner.begin() as conn:
            await conn.execute(text("UPDATE risk.assessment SET decision = 'block' WHERE id = 'asm_1'"))
        await owner.dispose()
        await ended(deps, 1, acted_on(1))
        await watch_decisions.watch_decisions(deps, now=soon())
        assert set(await alerts(deps)) == {"other_decision"}


async def test_an_assessment_that_is_still_on_the_way_is_waited_for(deps: Deps) -> None:
    """Answered in time and stored after the answer: the payment may be told of before its assessment is there."""
    await ended(deps, 1, acted_on(1))
    assert await watch_decisions.watch_decisions(deps, now=datetime.now(UTC)) == 0
    await stored(deps, 1)
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 1
    assert await alerts(deps) == {}


async def test_a_difference_is_counted_once_whoever_looks_and_its_alert_ends_by_itself(deps: Deps) -> None:
    for number in range(1, 4):
        await ended(deps, number, acted_on(number))
    before = metrics.decisions_compared_total.labels("unknown_assessment")._value.get()
    async with open_deps(deps.settings) as other:
        compared = await asyncio.gather(
            watch_decisions.watch_decisions(deps, now=soon()),
            watch_decisions.watch_decisions(other, now=soon()),
        )
    assert sum(compared) == 3
    assert metrics.decisions_compared_total.labels("unknown_assessment")._value.get() - before == 3
    await watch_decisions.watch_decisions(deps, now=soon() + timedelta(minutes=30))
    assert (await alerts(deps))["unknown_assessment"]["status"] == "firing"
    await watch_decisions.watch_decisions(deps, now=soon() + watch_decisions.RECENT + timedelta(minutes=1))
    assert (await alerts(deps))["unknown_assessment"]["status"] == "resolved"


async def test_a_backlog_is_worked_off_in_slices(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_decisions, "SLICE", 2)
    monkeypatch.setattr(watch_decisions, "SLICES_MAX", 2)
    for number in range(1, 6):
        await ended(deps, number, acted_on(number))
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 4, "one look is bounded"
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 1
    assert (await alerts(deps))["unknown_assessment"]["details"]["decisions"] == 5


async def test_what_an_older_release_recorded_says_nothing(deps: Deps) -> None:
    """During a roll-out both releases record; the older one knows neither of the new columns."""
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("""
                INSERT INTO risk.payment_outcome (payment_id, outcome, merchant_id, assessment_id, amount_minor,
                                                  currency, is_own_block, occurred_at)
                VALUES ('pay_1', 'captured', 'mer_1', 'asm_1', 1, 'EUR', false, now())
            """)
        )
    assert await watch_decisions.watch_decisions(deps, now=soon()) == 1
    assert await alerts(deps) == {}


async def test_differences_are_forgotten_as_alerts_are(deps: Deps) -> None:
    await ended(deps, 1, acted_on(1))
    await watch_decisions.watch_decisions(deps, now=soon())
    long_ago = soon() - ALERTS_KEPT - timedelta(days=1)
    async with deps.engine.begin() as conn:
        told = ActedDecision("pay_old", "captured", "mer_1", "asm_9", "allow", False, None)
        await acted_decisions.add(conn, [(told, Difference.UNKNOWN_ASSESSMENT)], long_ago)
    await forget_old_rows(deps)
    async with deps.engine.connect() as conn:
        kept = await conn.scalars(text("SELECT payment_id FROM risk.decision_difference"))
        assert kept.all() == ["pay_1"]
