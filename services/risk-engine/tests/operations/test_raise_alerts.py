"""A spike becomes one row and one event; an incident does not become an alert a minute."""

from dataclasses import replace
from datetime import timedelta

from risk_rig import an_assessment
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.ids import new_id
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.operations.raise_alerts import list_alerts, raise_alerts
from risk_engine.store.assessments import flush, new_row


async def stored(deps: Deps, prefix: str, **counts: int) -> None:
    items = [
        new_row(
            an_assessment(
                id=new_id("asm"),
                decision=Decision(decision),
                subject=replace(an_assessment().subject, key=f"{prefix}-{decision}-{number}"),
            ),
            float("inf"),
        )
        for decision, count in counts.items()
        for number in range(count)
    ]
    async with deps.engine.begin() as conn:
        await flush(conn, items)


async def events(deps: Deps) -> list[str]:
    query = "SELECT type FROM risk.outbox_event WHERE type LIKE 'risk.%'"
    async with deps.engine.connect() as conn:
        return list((await conn.scalars(text(query))).all())


async def test_a_spike_of_blocks_is_one_alert_with_its_event(deps: Deps) -> None:
    await stored(deps, "a", allow=40, block=20)
    raised = await raise_alerts(deps)
    assert len(raised) == 2  # blocks, and friction at large
    assert [alert["kind"] for alert in await list_alerts(deps, 10)] == ["friction_share", "block_share"]
    assert (await list_alerts(deps, 10))[1]["details"] == {"share": 0.3333, "baseline": 0.0, "decisions": 60}
    assert await events(deps) == ["risk.alert_raised.v1"] * 2


async def test_an_incident_that_goes_on_is_not_told_again_at_once_but_later(deps: Deps) -> None:
    await stored(deps, "a", block=60)
    now = deps.clock.now()
    assert len(await raise_alerts(replace(deps, clock=FixedClock(now)))) == 2
    assert await raise_alerts(replace(deps, clock=FixedClock(now))) == []
    assert await raise_alerts(replace(deps, clock=FixedClock(now + timedelta(minutes=2)))) == []
    async with deps.engine.begin() as conn:
        await conn.execute(text("UPDATE risk.alert SET slot_at = slot_at - interval '20 minutes'"))
    assert len(await raise_alerts(replace(deps, clock=FixedClock(now + timedelta(minutes=2))))) == 2


async def test_a_calm_day_raises_nothing(deps: Deps) -> None:
    await stored(deps, "a", allow=99, block=1)
    assert await raise_alerts(deps) == []
    assert await events(deps) == []
