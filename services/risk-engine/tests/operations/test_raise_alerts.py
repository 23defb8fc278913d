"""From rows to alerts and back: what a look raises, counts, escalates and resolves, with its acts and events."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alert_rig import ADA, EVE, decided, rows, tried, with_channels
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.problems import NotFound
from risk_engine.domain.alerts import Signal
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.staff import ENGINE
from risk_engine.operations import watch_chain, watch_decisions, watch_drift, watch_quality
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_alerts import find_alert, find_alerts
from risk_engine.operations.handle_alert import AlertIsOver, AlertIsTaken, acknowledge_alert, resolve_alert
from risk_engine.operations.raise_alerts import raise_alerts
from risk_engine.operations.settle_alerts import settle_alerts
from risk_engine.store import decision_minutes

MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


async def listed(deps: Deps, **filters: str) -> list[tuple[str, str]]:
    return [(one["kind"], one["status"]) for one in (await find_alerts(deps, None, 100, **filters))["data"]]


async def the(deps: Deps, kind: str) -> dict[str, Any]:
    (alert,) = (await find_alerts(deps, None, 100, kind=kind))["data"]
    return await find_alert(deps, alert["id"])


async def events(deps: Deps) -> list[str]:
    return [
        row.type
        for row in await rows(
            deps, "SELECT type FROM risk.outbox_event WHERE type LIKE 'risk.%' ORDER BY seq"
        )
    ]


async def test_what_another_job_found_is_not_over_because_this_one_did_not_look(deps: Deps) -> None:
    """A break of the chain once resolved within the minute, and came back with the next look at the chain."""
    watchers = (watch_chain, watch_decisions, watch_drift, watch_quality)
    for watched in (one.WATCHED for one in watchers):
        async with deps.engine.begin() as conn:
            await settle_alerts(deps, conn, [Signal(kind, "It is so.") for kind in watched], watched, now())
    found = await listed(deps)
    await raise_alerts(deps, now=now() + timedelta(days=2))
    assert await listed(deps) == found
    assert {status for _, status in found} == {"firing"}


async def test_a_spike_of_blocks_is_one_alert_with_its_act_and_event(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    assert len(await raise_alerts(deps)) == 2  # blocks, and friction at large
    assert await listed(deps) == [("friction_share", "firing"), ("block_share", "firing")]
    alert = await the(deps, "block_share")
    assert alert["details"] == {"share": 0.25, "baseline": 0.0, "decisions": 60, "measures": {}}
    assert [(act["act"], act["actor"]) for act in alert["acts"]] == [("raised", ENGINE)]
    assert await events(deps) == ["risk.alert_raised.v1"] * 2


async def test_an_incident_that_goes_on_is_counted_and_not_told_again(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    await raise_alerts(deps)
    for minutes in (1, 2, 3):
        assert await raise_alerts(deps, now=now() + minutes * MINUTE) == []
    assert (await the(deps, "block_share"))["occurrences"] == 4
    assert len(await events(deps)) == 2


async def test_two_looks_at_once_raise_one_alert(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    raised = await asyncio.gather(*(raise_alerts(deps) for _ in range(4)))
    assert sorted(map(len, raised)) == [0, 0, 0, 2]


async def test_an_alert_resolves_by_itself_and_tells_so(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    await raise_alerts(deps)
    await raise_alerts(deps, now=now() + 7 * MINUTE)
    alert = await the(deps, "block_share")
    assert (alert["status"], alert["resolved_by"]) == ("resolved", ENGINE)
    assert [act["act"] for act in alert["acts"]] == ["raised", "resolved"]
    assert sorted(await events(deps)) == ["risk.alert_raised.v1"] * 2 + ["risk.alert_resolved.v1"] * 2


async def test_trouble_that_comes_back_at_once_is_the_same_alert(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    await raise_alerts(deps)
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("UPDATE risk.alert SET status = 'resolved', resolved_at = now(), resolved_by = :by"),
            {"by": ENGINE},
        )
    assert len(await raise_alerts(deps)) == 2
    alert = await the(deps, "block_share")
    assert (alert["status"], alert["level"], alert["resolved_at"]) == ("firing", 0, None)
    assert [act["act"] for act in alert["acts"]][-1] == "reopened"


async def test_an_alert_that_is_acknowledged_escalates_no_further(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    await raise_alerts(deps)
    taken = await the(deps, "block_share")
    answer = await acknowledge_alert(deps, taken["id"], ADA, "looking")
    assert (answer["status"], answer["acknowledged_by"]) == ("acknowledged", "ada")
    await raise_alerts(deps, now=now() + 4 * MINUTE)
    async with deps.engine.begin() as conn:  # both have been firing for two hours, and still do
        await conn.execute(text("UPDATE risk.alert SET firing_since = now() - interval '2 hours'"))
    await raise_alerts(deps, now=now() + 4 * MINUTE)
    assert (await the(deps, "block_share"))["level"] == 0
    assert (await the(deps, "friction_share"))["level"] == 1
    assert [act["act"] for act in (await the(deps, "friction_share"))["acts"]] == ["raised", "escalated"]


async def test_acknowledging_twice_is_doing_it_once_and_two_people_are_told_of_each_other(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    (first, _) = await raise_alerts(deps)
    await acknowledge_alert(deps, first, ADA, None)
    assert (await acknowledge_alert(deps, first, ADA, None))["acknowledged_by"] == "ada"
    with pytest.raises(AlertIsTaken, match="ada looks at it"):
        await acknowledge_alert(deps, first, EVE, None)
    assert [act["act"] for act in (await find_alert(deps, first))["acts"]] == ["raised", "acknowledged"]


async def test_a_person_resolves_with_a_note_and_has_the_cooldown_in_peace(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    first, second = await raise_alerts(deps)
    resolved = await resolve_alert(deps, first, EVE, "a test of ours")
    assert (resolved["status"], resolved["resolved_by"]) == ("resolved", "eve")
    with pytest.raises(AlertIsOver, match="eve"):
        await resolve_alert(deps, first, ADA, "again")
    with pytest.raises(AlertIsOver):
        await acknowledge_alert(deps, first, ADA, None)
    assert await raise_alerts(deps, now=now() + MINUTE) == []
    assert [act["note"] for act in (await find_alert(deps, first))["acts"]] == [None, "a test of ours"]
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("UPDATE risk.alert SET resolved_at = now() - interval '16 minutes' WHERE id = :id"),
            {"id": first},
        )
    assert len(await raise_alerts(deps, now=now() + MINUTE)) == 1, "after it, what still holds is told anew"
    assert (await find_alert(deps, second))["occurrences"] == 3


async def test_what_is_not_there_is_not_handled(deps: Deps) -> None:
    for attempt in (acknowledge_alert(deps, "alr_x", ADA, None), resolve_alert(deps, "alr_x", ADA, "why")):
        with pytest.raises(NotFound):
            await attempt


async def test_a_calm_day_raises_nothing(deps: Deps) -> None:
    await decided(deps, allow=99, block=1)
    assert await raise_alerts(deps) == []
    assert await events(deps) == []


async def test_cards_that_are_tried_at_a_merchant_are_told_with_the_merchant(deps: Deps) -> None:
    for number in range(24):
        await tried(deps, number)
        await tried(deps, number, merchant_id="mer_2", device=f"d{number}")  # a crowd
        await tried(deps, number, merchant_id="mer_3", declined=number < 9)  # too few fail to be looked at
        await tried(deps, number, merchant_id="mer_4", amount_minor=5_000)
    await raise_alerts(deps)
    alert = await the(deps, "card_testing")
    assert (alert["scope"], alert["severity"]) == ("mer_1", "critical")
    assert alert["details"]["measures"] == {"cards": 24, "devices": 1, "ips": 1, "small": 24, "failed": 24}


async def test_silence_is_told_and_over_with_the_next_decision(deps: Deps) -> None:
    await decided(deps, allow=30)
    assert await raise_alerts(deps) == []
    await raise_alerts(deps, now=now() + 12 * MINUTE)
    assert await listed(deps) == [("no_decisions", "firing")]
    await decided(deps, allow=1, prefix="b")
    async with deps.engine.begin() as conn:  # the look that raised it was in the future
        await conn.execute(text("UPDATE risk.alert SET last_seen_at = now()"))
    await raise_alerts(deps)
    assert await listed(deps) == [("no_decisions", "resolved")]


async def test_late_and_degraded_decisions_burn_the_budget(deps: Deps) -> None:
    await decided(deps, allow=100, late=6)
    await decided(deps, allow=6, degraded=[Fault.DEADLINE], prefix="b")
    await raise_alerts(deps)
    assert await listed(deps) == [("slo_burn_slow", "firing"), ("slo_burn_fast", "firing")]
    details = (await the(deps, "slo_burn_fast"))["details"]
    assert (details["decisions"], details["measures"]["faults"]) == (106, {"deadline": 6})


async def test_minutes_are_counted_again_and_not_twice(deps: Deps) -> None:
    await decided(deps, allow=3)
    await raise_alerts(deps)
    await decided(deps, allow=4, block=1, prefix="b")
    await raise_alerts(deps)
    await raise_alerts(deps)
    counted = await rows(
        deps,
        "SELECT sum(CAST(decisions ->> 'allow' AS int)) AS allowed, sum(bad) AS bad FROM risk.decision_minute",
    )
    assert (counted[0].allowed, counted[0].bad) == (7, 0)


async def test_after_an_outage_of_hours_the_minutes_are_caught_up_with_in_slices(deps: Deps) -> None:
    await decided(deps, allow=7)
    await raise_alerts(deps, now=now() + timedelta(hours=3))
    async with deps.engine.connect() as conn:
        slices = await decision_minutes.slices(conn, now() + timedelta(hours=5))
    assert all(until - since == decision_minutes.SLICE for since, until in slices)
    assert len(slices) > 5 * 6, "from the last minute counted until now"
    counted = await rows(
        deps, "SELECT sum(CAST(decisions ->> 'allow' AS int)) AS allowed FROM risk.decision_minute"
    )
    assert counted[0].allowed == 7


async def test_a_clock_that_jumped_is_told_and_the_look_goes_by_the_database_s(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    jumped = replace(deps, clock=FixedClock(now() + timedelta(hours=3)))
    await raise_alerts(jumped)
    assert await listed(deps, kind="clock_skew") == [("clock_skew", "firing")]
    assert (await the(deps, "clock_skew"))["scope"] == "worker"
    assert await listed(deps, kind="block_share") == [("block_share", "firing")]


async def test_lists_are_filtered_and_paged(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    await raise_alerts(deps)
    first = await find_alerts(deps, None, 1)
    second = await find_alerts(deps, first["next_cursor"], 1)
    assert [one["kind"] for one in first["data"] + second["data"]] == ["friction_share", "block_share"]
    assert second["next_cursor"] is None
    assert await listed(deps, status="resolved") == []
    assert await listed(deps, severity="warning", scope="", kind="block_share") == [("block_share", "firing")]


async def test_what_the_channels_want_becomes_due_with_the_act(deps: Deps) -> None:
    await decided(deps, allow=45, block=15)
    base = {"kind": "apprise", "url": "json://127.0.0.1:1"}
    telling = with_channels(
        deps,
        {"name": "chat"} | base,
        {"name": "pager", "severities": ["critical"]} | base,
        {"name": "boss", "level": 1} | base,
    )
    (first, _) = await raise_alerts(telling)
    assert [one["channel"] for one in (await find_alert(deps, first))["deliveries"]] == ["chat"]
    async with deps.engine.begin() as conn:
        await conn.execute(text("UPDATE risk.alert SET firing_since = now() - interval '2 hours'"))
    await raise_alerts(telling)
    told = [one["channel"] for one in (await find_alert(deps, first))["deliveries"]]
    assert sorted(told) == ["boss", "chat", "chat"]
