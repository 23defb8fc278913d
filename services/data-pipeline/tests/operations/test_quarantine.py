"""Quarantine: what was set aside is replayed in order and once, or discarded by somebody for a reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import (
    NOON,
    a_payment,
    a_sale,
    an_event,
    deps_for,
    ingest,
    processing,
    rollup_differences,
    rows,
    scalar,
    settings_for,
)
from seeded_day import simulate
from sqlalchemy import text

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain import event_facts
from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.facts import Facts, supersede
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.discard_quarantine import discard_quarantine
from data_pipeline.operations.ingest_events import EventRefused, set_aside_from
from data_pipeline.operations.replay_quarantine import Outcome, replay_quarantine
from data_pipeline.settings import CONSUMER
from data_pipeline.store.quarantine import Chosen
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.db import create_engine
from platform_kit.outbox import Event

GOLD = ("fact_payment", "fact_refund", "fact_transfer", "rollup", "rollup_latency", "event_count")


async def consume_all(deps: Deps, events: list[Event]) -> None:
    """One by one as the consumer does when a batch is not applicable: what is refused is set aside."""
    for event in events:
        try:
            await ingest(deps.engine, [event])
        except EventRefused as refusal:
            async with deps.engine.begin() as conn:
                await set_aside_from(PAYMENTS)(conn, event, refusal)
                await conn.execute(
                    text(
                        "INSERT INTO pipeline.consumer_cursor (consumer, stream, position)"
                        " VALUES (:consumer, :stream, :position)"
                        " ON CONFLICT (consumer, stream) DO UPDATE SET position = excluded.position"
                    ),
                    {"consumer": CONSUMER, "stream": PAYMENTS, "position": event.position},
                )


async def warehouse(deps: Deps) -> dict[str, list[dict[str, object]]]:
    return {table: await rows(deps.engine, table, order=f"{table}::text") for table in GOLD}


async def outcomes(deps: Deps, chosen: Chosen = Chosen()) -> list[Outcome]:
    return [one.outcome for one in (await replay_quarantine(deps, chosen, "ada")).events]


@pytest.fixture
def an_older_release(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A consumer that knows neither captures nor refunds; `undo` deploys the one that does."""
    known = event_facts.PAYMENT_EVENTS - {"payment.captured.v1", "refund.succeeded.v1"}
    monkeypatch.setattr(event_facts, "PAYMENT_EVENTS", known)
    return monkeypatch


async def test_a_newer_release_replays_what_an_older_one_set_aside_and_the_warehouse_is_as_if_in_order(
    deps: Deps, an_older_release: pytest.MonkeyPatch, fresh_database: FreshDatabase
) -> None:
    told = simulate(NOON, count=40).payments
    await consume_all(deps, told)
    set_aside = await scalar(deps.engine, "SELECT count(*) FROM pipeline.quarantine")
    assert set_aside > 20
    assert set(await outcomes(deps)) == {Outcome.REFUSED}
    an_older_release.undo()

    assert await outcomes(deps) == [Outcome.APPLIED] * set_aside

    in_order = await fresh_database("pipeline")
    engine = create_engine(settings_for(in_order.app_url))
    async with deps_for(settings_for(in_order.app_url), engine) as other:
        await ingest(other.engine, told)
        expected = await warehouse(other)
    await engine.dispose()
    assert await warehouse(deps) == expected
    assert await rollup_differences(deps.engine) == []
    assert {row["attempt_count"] for row in await rows(deps.engine, "quarantine")} == {3}


async def test_replaying_what_is_applied_does_nothing_and_says_so(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    await consume_all(deps, [a_sale(1), a_sale(2)])
    an_older_release.undo()
    [first, second] = [row["id"] for row in await rows(deps.engine, "quarantine")]
    async with deps.engine.begin() as conn:  # a repair by hand: the event is in the store, its row still open
        await conn.execute(
            text(
                "INSERT INTO pipeline.stored_event (stream, position, event_id, type, aggregate_id, occurred_at,"
                " payload) SELECT stream, position, event_id, type, 'a', now(), '{}' FROM pipeline.quarantine"
                " WHERE id = :id"
            ),
            {"id": first},
        )

    assert await outcomes(deps, Chosen(ids=(first,))) == [Outcome.ALREADY_APPLIED]
    assert await rows(deps.engine, "fact_transfer") == []
    assert await outcomes(deps, Chosen(ids=(first, second, 999))) == [
        Outcome.NOT_OPEN,
        Outcome.APPLIED,
        Outcome.NOT_FOUND,
    ]
    before = await warehouse(deps)
    assert await outcomes(deps, Chosen(ids=(second,))) == [Outcome.NOT_OPEN]
    assert await outcomes(deps) == []
    assert await warehouse(deps) == before


async def test_two_people_who_replay_at_once_apply_each_event_once(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    await consume_all(deps, [a_sale(number) for number in range(1, 13)])
    an_older_release.undo()

    told = await asyncio.gather(outcomes(deps), outcomes(deps))

    first, second = told
    assert [*first, *second].count(Outcome.APPLIED) == 12
    assert await scalar(deps.engine, "SELECT sum(amount_minor) FROM pipeline.fact_transfer") == 12 * 1250
    assert await rollup_differences(deps.engine) == []


async def test_a_range_of_positions_is_replayed_and_the_rest_stays(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    await consume_all(deps, [a_sale(number) for number in range(1, 7)])
    an_older_release.undo()
    await replay_quarantine(deps, Chosen(stream=PAYMENTS, first_position=2, last_position=4), "ada", "fixed")
    states = {
        row["position"]: (row["state"], row["resolved_by"]) for row in await rows(deps.engine, "quarantine")
    }
    assert states == {
        1: ("open", None),
        2: ("replayed", "ada"),
        3: ("replayed", "ada"),
        4: ("replayed", "ada"),
        5: ("open", None),
        6: ("open", None),
    }


async def test_one_that_is_refused_again_counts_an_attempt_and_holds_nothing_back(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    broken = an_event(1, payment=a_payment(1, amount_minor="12.50"))
    await consume_all(deps, [broken, a_sale(2, 1)])
    an_older_release.undo()

    done = await replay_quarantine(deps, Chosen(), "ada")

    assert [one.outcome for one in done.events] == [Outcome.REFUSED, Outcome.APPLIED]
    assert "/amount_minor" in (done.events[0].detail or "")
    assert done.remaining == 0
    [still, _] = await rows(deps.engine, "quarantine")
    assert (still["state"], still["attempt_count"], still["outcome"]) == ("open", 2, "refused")
    assert still["fault"] == "contract_violation"


async def test_an_event_that_the_database_refuses_leaves_the_others_of_its_payment_alone(
    deps: Deps, database: TestDatabase, an_older_release: pytest.MonkeyPatch
) -> None:
    """The savepoint: what the event before it wrote is kept."""
    owner = create_engine(settings_for(database.owner_url))
    async with owner.begin() as conn:
        await conn.execute(text("ALTER TABLE pipeline.fact_payment ADD CHECK (version <> 3)"))
    await owner.dispose()
    await consume_all(deps, [a_sale(1), a_sale(2, 1, version=3), a_sale(3, 1)])
    an_older_release.undo()

    assert await outcomes(deps) == [Outcome.APPLIED, Outcome.REFUSED, Outcome.APPLIED]
    [row] = await rows(deps.engine, "stored_event", order="position DESC LIMIT 1")
    assert row["position"] == 3
    assert await rollup_differences(deps.engine) == []


async def test_a_discarded_event_says_who_and_why_and_is_never_applied(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    await consume_all(deps, [a_sale(1), a_sale(2)])
    an_older_release.undo()
    [first, _] = [row["id"] for row in await rows(deps.engine, "quarantine")]

    assert await discard_quarantine(deps, Chosen(ids=(first,)), "grace", "told twice, see incident 12") == [
        first
    ]
    assert await discard_quarantine(deps, Chosen(ids=(first,)), "eve", "again") == []

    assert await outcomes(deps) == [Outcome.APPLIED]
    [gone, _] = await rows(deps.engine, "quarantine")
    assert (gone["state"], gone["resolved_by"], gone["reason"]) == (
        "discarded",
        "grace",
        "told twice, see incident 12",
    )
    assert [row["payment_id"] for row in await rows(deps.engine, "fact_payment")] == [a_payment(2)["id"]]


async def test_the_consumer_and_a_replay_do_not_lose_each_others_sums(
    deps: Deps, an_older_release: pytest.MonkeyPatch
) -> None:
    await consume_all(deps, [a_sale(number) for number in range(1, 9)])
    an_older_release.undo()

    async def go_on() -> None:
        for number in range(9, 21):
            await ingest(deps.engine, [a_sale(number)])

    await asyncio.gather(go_on(), replay_quarantine(deps, Chosen(), "ada"))
    assert (
        await scalar(deps.engine, "SELECT sum(captured_minor) FROM pipeline.rollup WHERE grain = 'day'")
        == 25_000
    )
    assert await rollup_differences(deps.engine) == []


@given(st.permutations(range(4)), st.lists(st.integers(0, 60), min_size=4, max_size=4))
def test_first_times_are_the_same_in_whatever_order_events_come(order: list[int], seconds: list[int]) -> None:
    def told(position: int, at: datetime) -> Event:
        payment = processing(1) if position == 1 else a_payment(1)
        return replace(an_event(position, payment=payment), occurred_at=at)

    facts = [
        facts_of(told(number + 1, NOON + timedelta(seconds=second)).envelope())
        for number, second in enumerate(seconds)
    ]
    payments = [fact.payment for fact in facts if isinstance(fact, Facts)]
    in_order = shuffled = None
    for number in range(4):
        in_order = supersede(in_order, payments[number])  # type: ignore[arg-type]
        shuffled = supersede(shuffled, payments[order[number]])  # type: ignore[arg-type]
    assert shuffled == in_order
