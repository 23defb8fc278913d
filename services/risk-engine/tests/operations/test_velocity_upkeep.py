"""Outcomes become windows, and windows come back after Redis lost them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from risk_rig import NOON, a_subject, codes, eventually
from sqlalchemy import text

from platform_cli.embedded.running import free_port
from platform_kit.clock import FixedClock
from platform_kit.ids import new_id
from platform_kit.outbox import Event
from risk_engine.clients.features import FeatureStore
from risk_engine.domain import velocity
from risk_engine.domain.facts import Subject
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps
from risk_engine.operations.forget_old_rows import forget_old_rows
from risk_engine.operations.rebuild_velocity import (
    LATE_COMMIT,
    follow_outcomes,
    project_declines,
    project_frauds,
    project_unseen,
    rebuild_velocity,
)
from risk_engine.operations.record_outcomes import record_outcomes
from risk_engine.store import labels
from risk_engine.store.assessments import ID_MAX

NOW = datetime.now(UTC).replace(microsecond=0)  # labels and assessments are dated by the database


def an_event(number: int, kind: str = "payment.declined.v1", at: Any = NOON, **payment: Any) -> Event:
    body: dict[str, Any] = {
        "id": f"pay_{number}",
        "merchant_id": "mer_1",
        "amount_minor": 1250,
        "captured_minor": 0,
        "currency": "EUR",
        "risk": None,
    } | payment
    return Event(f"evt_{kind}_{number}", kind, body["id"], {"payment": body}, at, "mer_1", None, number)


async def decline(deps: Deps, number: int, **risk: Any) -> dict[str, Any]:
    """A payment that was assessed and then declined by the channel."""
    answer = dict(await assess_payment(deps, a_subject(number)))
    noted = {"assessment_id": answer["id"], "decision": answer["decision"]} | risk
    async with deps.engine.begin() as conn:
        await record_outcomes(conn, [an_event(number, risk=noted)])
    return answer


async def facts_of_next(deps: Deps, number: int) -> dict[str, Any]:
    answer = await assess_payment(deps, a_subject(number))
    async with deps.engine.connect() as conn:
        facts = await conn.scalar(
            text("SELECT facts FROM risk.assessment WHERE id = :id"), {"id": answer["id"]}
        )
    return dict(facts)


@pytest.fixture
def at_noon(deps: Deps) -> Deps:
    """The clock stands where the events are."""
    return replace(deps, clock=FixedClock(NOON + timedelta(minutes=1)))


async def test_declines_of_a_card_reach_the_next_decision(at_noon: Deps) -> None:
    for number in range(3):
        await decline(at_noon, number)
    assert await project_declines(at_noon) == 3
    assert await project_declines(at_noon) == 0
    answer = await assess_payment(at_noon, a_subject(9))
    assert codes(answer) == ["card_declines"]


async def test_a_decline_that_comes_twice_counts_once(at_noon: Deps) -> None:
    await decline(at_noon, 1)
    async with at_noon.engine.begin() as conn:
        await record_outcomes(conn, [an_event(1, risk=None)])
    await project_declines(at_noon)
    await at_noon.features.set_declines_seen(0)
    await project_declines(at_noon)
    assert (await facts_of_next(at_noon, 2))["card_declines_1h"] == 1


async def test_what_this_engine_blocked_is_no_sign_of_a_bad_card(at_noon: Deps) -> None:
    await decline(at_noon, 1, decision="block")
    await project_declines(at_noon)
    assert (await facts_of_next(at_noon, 2))["card_declines_1h"] == 0


async def test_other_events_and_other_outcomes_do_not_count_as_declines(at_noon: Deps) -> None:
    answer = await assess_payment(at_noon, a_subject(1))
    noted = {"assessment_id": answer["id"], "decision": "allow"}
    events = [
        an_event(1, "payment.captured.v1", captured_minor=700, risk=noted),
        an_event(2, "payment.failed.v1", risk=noted),
        an_event(3, "payment.created.v1", risk=noted),
        Event("evt_x", "ledger.transfer_posted.v1", "je_1", {"payment": None}, NOON, None, None, 4),
    ]
    async with at_noon.engine.begin() as conn:
        await record_outcomes(conn, events)
        found = (
            await conn.execute(text("SELECT outcome, amount_minor FROM risk.payment_outcome ORDER BY seq"))
        ).all()
    assert [tuple(row) for row in found] == [("captured", 700), ("failed", 1250)]
    assert await project_declines(at_noon) == 0


async def test_an_event_without_a_payment_raises_and_is_for_the_quarantine(at_noon: Deps) -> None:
    broken = Event("evt_1", "payment.declined.v1", "pay_1", {"payment": None}, NOON, None, None, 1)
    async with at_noon.engine.begin() as conn:
        with pytest.raises(TypeError):
            await record_outcomes(conn, [broken])


async def test_windows_are_rebuilt_after_redis_lost_everything(at_noon: Deps) -> None:
    for number in range(3):
        await decline(at_noon, number)
    before = await facts_of_next(at_noon, 7)
    await project_declines(at_noon)
    await at_noon.redis.flushall()
    assert not await at_noon.features.is_warm()
    assert await rebuild_velocity(at_noon) == 4
    await project_declines(at_noon)
    after = await facts_of_next(at_noon, 8)
    assert await at_noon.features.is_warm()
    assert after["card_count_10m"] == before["card_count_10m"] + 1 == 5
    assert after["customer_sum_30d"] == 5 * 1250
    assert after["card_declines_1h"] == 3


async def windows_of(deps: Deps, subjects: Sequence[Subject]) -> dict[str, dict[str, int | bool]]:
    """Every window as each payment sees it: who is recorded already is only read."""
    seen = {one.key: (await deps.features.assess(one, one.amount_minor)).windows for one in subjects}
    return {key: {name: windows[name] for name in velocity.FACTS} for key, windows in seen.items()}


async def test_every_window_is_rebuilt_as_it_was(at_noon: Deps) -> None:
    """Payments that share all kinds of things, each third of them declined: no window of any of them may differ."""
    subjects = [
        a_subject(
            number,
            occurred_at=NOON - timedelta(minutes=3 * (40 - number)),
            amount_minor=1000 + number,
            card=f"card-{number % 5}",
            card_bin=f"42424{number % 2}",
            customer_id=f"customer-{number % 4}",
            country=("DE", "FR", "")[number % 3],
            device=f"device-{number % 3}",
            ip=f"ip-{number % 2}",
            email=f"email-{number % 6}",
        )
        for number in range(40)
    ]
    for number, subject in enumerate(subjects):
        answer = await assess_payment(at_noon, subject)
        if number % 3 == 0 and answer["decision"] != "block":
            noted = {"assessment_id": answer["id"], "decision": answer["decision"]}
            async with at_noon.engine.begin() as conn:
                await record_outcomes(conn, [an_event(number, at=subject.occurred_at, risk=noted)])
    assert await project_declines(at_noon) > 3
    before = await windows_of(at_noon, subjects)
    await at_noon.redis.flushall()
    await rebuild_velocity(at_noon)
    await project_declines(at_noon)
    assert await windows_of(at_noon, subjects) == before
    filled = {name for windows in before.values() for name, value in windows.items() if value}
    assert {
        "card_sum_24h",
        "customer_cards_24h",
        "ip_cards_1h",
        "bin_declines_10m",
        "card_declines_1h",
    } <= filled


async def test_rebuilding_twice_and_beside_live_decisions_counts_nothing_twice(at_noon: Deps) -> None:
    for number in range(5):
        await assess_payment(at_noon, a_subject(number))
    await at_noon.redis.flushall()
    await asyncio.gather(
        rebuild_velocity(at_noon), assess_payment(at_noon, a_subject(3)), rebuild_velocity(at_noon)
    )
    assert (await facts_of_next(at_noon, 5))["card_count_10m"] == 6


async def test_payments_older_than_every_window_are_not_replayed(deps: Deps) -> None:
    await assess_payment(deps, a_subject(1))
    await deps.redis.flushall()
    later = replace(deps, clock=FixedClock(deps.clock.now() + timedelta(days=38)))
    assert await rebuild_velocity(later) == 0
    assert await deps.features.is_warm()


async def is_in_step(deps: Deps) -> bool:
    return await deps.features.is_warm() and await deps.features.declines_seen() > 0


async def test_the_follower_notices_a_loss_by_itself(at_noon: Deps) -> None:
    await decline(at_noon, 1)
    await at_noon.redis.flushall()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow_outcomes(at_noon, stop))
        await eventually(lambda: is_in_step(at_noon))
        stop.set()
    assert (await facts_of_next(at_noon, 2))["card_declines_1h"] == 1


@pytest.fixture
async def without_redis(at_noon: Deps) -> AsyncIterator[Deps]:
    """The same engine, with a Redis that nobody answers for."""
    away = Redis.from_url(f"redis://127.0.0.1:{free_port()}")
    yield replace(at_noon, features=FeatureStore(away, timeout_s=0.025))
    await away.aclose()


async def test_a_payment_decided_without_redis_counts_once_it_is_back(
    at_noon: Deps, without_redis: Deps
) -> None:
    await assess_payment(at_noon, a_subject(1))
    answer = await assess_payment(without_redis, a_subject(2))
    assert answer["degraded"] == ["velocity"]
    assert (await facts_of_next(at_noon, 3))["card_count_10m"] == 2, "Redis does not know of it yet"
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow_outcomes(at_noon, stop))
        await eventually(lambda: is_told(at_noon))
        stop.set()
    after = await facts_of_next(at_noon, 4)
    assert (after["card_count_10m"], after["customer_sum_30d"]) == (4, 4 * 1250)


async def is_told(deps: Deps) -> bool:
    return (await deps.features.unseen_told())[0] != ""


async def test_what_became_visible_behind_the_first_look_is_found_by_the_second(
    at_noon: Deps, without_redis: Deps
) -> None:
    await assess_payment(without_redis, a_subject(1))
    await at_noon.features.set_unseen_told(0, ID_MAX)  # a later one was seen first
    now = replace(at_noon, clock=FixedClock(NOW))
    assert await project_unseen(now) == 0
    # Ids have the time of the database's machine, and this module may have been imported half an hour ago.
    later = replace(at_noon, clock=FixedClock(datetime.now(UTC) + LATE_COMMIT + timedelta(minutes=5)))
    assert await project_unseen(later) == 1
    assert await project_unseen(later) == 0
    assert (await facts_of_next(at_noon, 2))["card_count_10m"] == 2


TWO_ALERTS = """
    INSERT INTO risk.alert (id, kind, slot_at, details, raised_at)
    VALUES ('alr_1', 'k', now(), '{}', :at), ('alr_2', 'k', now() - interval '1 h', '{}', :now)
"""


async def test_old_outcomes_and_alerts_are_forgotten_and_young_ones_kept(at_noon: Deps) -> None:
    async with at_noon.engine.begin() as conn:
        await record_outcomes(conn, [an_event(1, at=NOON - timedelta(days=36)), an_event(2, at=NOON)])
        await conn.execute(
            text(TWO_ALERTS),
            {"at": NOON - timedelta(days=91), "now": NOON},
        )
    assert await forget_old_rows(at_noon) == 2
    async with at_noon.engine.connect() as conn:
        assert (await conn.scalars(text("SELECT payment_id FROM risk.payment_outcome"))).all() == ["pay_2"]
        assert (await conn.scalars(text("SELECT id FROM risk.alert"))).all() == ["alr_2"]


async def a_fraud_at(deps: Deps, number: int, days_ago: int, **changes: Any) -> None:
    """A payment at a terminal that was called fraud by a list from elsewhere."""
    subject = a_subject(number, terminal="till-1", occurred_at=NOW - timedelta(days=days_ago), **changes)
    answer = await assess_payment(deps, subject)
    said = Label(subject.payment_id, LabelKind.FRAUD, LabelSource.UPLOAD, NOW, "ada", str(answer["id"]))
    async with deps.engine.begin() as conn:
        await labels.add(conn, [said])


async def terminal_facts(deps: Deps, number: int) -> dict[str, int]:
    answer = await assess_payment(deps, a_subject(number, terminal="till-1", occurred_at=NOW))
    async with deps.engine.connect() as conn:
        find = text("SELECT facts FROM risk.assessment WHERE id = :id")
        facts = await conn.scalar(find, {"id": answer["id"]})
    return {name: facts[name] for name in ("terminal_count_7d", "terminal_frauds_7d", "terminal_frauds_30d")}


async def test_a_fraud_reaches_its_terminals_windows_a_week_after_the_payment(deps: Deps) -> None:
    await a_fraud_at(deps, 1, days_ago=8)
    await a_fraud_at(deps, 2, days_ago=6)  # known already, and not counted before its week is over
    await a_fraud_at(deps, 3, days_ago=20)
    assert await project_frauds(deps) == 3
    assert await project_frauds(deps) == 0
    wanted = {"terminal_count_7d": 1, "terminal_frauds_7d": 1, "terminal_frauds_30d": 2}
    assert await terminal_facts(deps, 9) == wanted


async def test_a_terminals_windows_come_back_after_redis_lost_them(deps: Deps) -> None:
    await a_fraud_at(deps, 1, days_ago=8)
    await project_frauds(deps)
    await deps.redis.flushall()
    await rebuild_velocity(deps)
    assert await project_frauds(deps) == 1
    wanted = {"terminal_count_7d": 1, "terminal_frauds_7d": 1, "terminal_frauds_30d": 1}
    assert await terminal_facts(deps, 9) == wanted


async def test_a_label_that_becomes_visible_late_is_not_passed_over(deps: Deps) -> None:
    """Its id is lower than one that was projected already."""
    await a_fraud_at(deps, 1, days_ago=8)
    await deps.features.set_frauds_seen(new_id("lbl"))
    assert await project_frauds(deps) == 0
    assert (await terminal_facts(deps, 9))["terminal_frauds_7d"] == 1
