"""Ingest: every event has its effect once, whatever the transport does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pipeline_rig import (
    NOON,
    a_journal,
    a_payment,
    a_sale,
    an_assessment,
    an_attempt,
    an_event,
    ingest,
    processing,
    rollup_differences,
    rows,
    scalar,
)
from seeded_day import simulate
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.operations.complete_rollups import complete_rollups
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.ingest_events import EventRefused
from data_pipeline.store import rollups as rollup_store


async def test_a_sale_becomes_payment_transfer_event_and_rollups(engine: AsyncEngine) -> None:
    await ingest(engine, [an_event(1, "payment.created.v1", payment=processing(1)), a_sale(2, 1)])

    [payment] = await rows(engine, "fact_payment")
    assert payment["status"] == "captured"
    assert payment["captured_minor"] == 1250
    assert payment["approved_at"] == NOON
    [transfer] = await rows(engine, "fact_transfer")
    assert (transfer["settled_channel"], transfer["settled_type"]) == ("card_sim", "charge")
    assert transfer["channel_reference"] == "ch_capture_1"
    assert len(await rows(engine, "stored_event")) == 2
    [day, hour, minute] = await rows(engine, "rollup", order="grain")
    assert (day["grain"], day["payment_count"], day["captured_minor"]) == ("day", 1, 1250)
    assert (hour["grain"], hour["bucket_at"]) == ("hour", NOON.replace(hour=11))
    assert (minute["grain"], minute["payment_count"], minute["approved_count"]) == ("minute", 1, 1)
    assert await rollup_differences(engine) == []


async def test_the_same_batch_again_changes_nothing(engine: AsyncEngine) -> None:
    batch = [
        a_sale(1),
        a_sale(2),
        an_event(3, "payment.declined.v1", payment=a_payment(3, status="declined")),
    ]
    await ingest(engine, batch)
    before = {name: await rows(engine, name) for name in ("fact_payment", "fact_transfer", "rollup")}

    await ingest(engine, batch)

    assert {name: await rows(engine, name) for name in before} == before


async def test_an_older_event_that_comes_late_does_not_turn_a_payment_back(engine: AsyncEngine) -> None:
    await ingest(engine, [a_sale(2, 1)])
    await ingest(
        engine, [an_event(1, "payment.created.v1", payment=processing(1), at=NOON - timedelta(seconds=1))]
    )

    [payment] = await rows(engine, "fact_payment")
    assert payment["status"] == "captured"
    assert payment["position"] == 2
    assert await rollup_differences(engine) == []


async def test_a_decision_that_becomes_known_later_moves_the_payment_to_another_row(
    engine: AsyncEngine,
) -> None:
    await ingest(engine, [an_event(1, "payment.created.v1", payment=processing(1, risk=None, channel=None))])
    await ingest(engine, [a_sale(2, 1)])

    kept = [row for row in await rows(engine, "rollup") if row["payment_count"] and row["grain"] == "day"]
    assert [(row["decision"], row["channel"], row["payment_count"]) for row in kept] == [
        ("allow", "card_sim", 1)
    ]
    assert await rollup_differences(engine) == []


async def test_a_refund_credits_the_channel_and_counts_in_the_rollup(engine: AsyncEngine) -> None:
    refund = {
        "id": "rf_1",
        "payment_id": a_payment(1)["id"],
        "amount_minor": 500,
        "currency": "EUR",
        "status": "succeeded",
        "reason": None,
        "created_at": "2026-11-23T12:05:00Z",
    }
    refunded = an_event(
        2,
        "refund.succeeded.v1",
        payment=a_payment(1, refunded_minor=500, version=3),
        refund=refund,
        journal=a_journal(1, 500, refund=True),
        attempt=an_attempt(1, "refund"),
    )
    await ingest(engine, [a_sale(1), refunded])

    assert [row["settled_type"] for row in await rows(engine, "fact_transfer", order="position")] == [
        "charge",
        "refund",
    ]
    assert [(row["refund_id"], row["status"]) for row in await rows(engine, "fact_refund")] == [
        ("rf_1", "succeeded")
    ]
    assert {row["refunded_minor"] for row in await rows(engine, "rollup")} == {500}


async def test_an_older_state_of_a_refund_does_not_win(engine: AsyncEngine) -> None:
    def told(position: int, status: str) -> object:
        refund = {
            "id": "rf_1",
            "payment_id": a_payment(1)["id"],
            "amount_minor": 500,
            "currency": "EUR",
            "status": status,
            "created_at": "2026-11-23T12:05:00Z",
        }
        return an_event(position, "refund.created.v1", payment=a_payment(1), refund=refund)

    await ingest(engine, [told(2, "succeeded")])  # type: ignore[list-item]
    await ingest(engine, [told(1, "pending")])  # type: ignore[list-item]

    assert [row["status"] for row in await rows(engine, "fact_refund")] == ["succeeded"]


async def test_an_assessment_is_kept_with_its_reasons(engine: AsyncEngine) -> None:
    await ingest(engine, [an_assessment(1, decision="review")], stream="events:risk")

    [kept] = await rows(engine, "fact_assessment")
    assert (kept["decision"], kept["score"], kept["payment_id"]) == ("review", 12, f"pay_{1:026d}")
    assert kept["reasons"][0]["code"] == "velocity"


async def test_an_unknown_type_is_set_aside_and_the_rest_goes_on(engine: AsyncEngine) -> None:
    await ingest(engine, [a_sale(1), an_event(2, "payment.teleported.v9"), a_sale(3)])

    assert [row["position"] for row in await rows(engine, "stored_event", order="position")] == [1, 3]
    [aside] = await rows(engine, "quarantine")
    assert (aside["position"], aside["fault"], aside["state"]) == (2, "unknown_type", "open")
    assert '"payment.teleported.v9"' in aside["payload"]


async def test_an_event_that_breaks_its_contract_is_refused_and_leaves_nothing(engine: AsyncEngine) -> None:
    broken = an_event(2, payment=a_payment(2, amount_minor=12.5))
    with pytest.raises(EventRefused, match="amount_minor"):
        await ingest(engine, [a_sale(1), broken])

    assert await scalar(engine, "SELECT count(*) FROM pipeline.stored_event") == 0
    assert await scalar(engine, "SELECT count(*) FROM pipeline.rollup") == 0


async def test_time_to_the_outcome_is_counted_in_its_bucket_and_moves_with_the_payment(
    engine: AsyncEngine,
) -> None:
    await ingest(engine, [an_event(1, "payment.created.v1", payment=processing(1))])
    assert await rows(engine, "rollup_latency") == []
    await ingest(engine, [a_sale(2, 1)])

    [bucket] = await rows(engine, "rollup_latency")
    assert (bucket["bound_ms"], bucket["payment_count"]) == (91, 1)  # 80 ms lie below 91 and above 73


async def test_hours_that_an_older_release_left_out_are_made_anew(deps: Deps) -> None:
    await ingest(deps.engine, simulate(NOON, count=30).payments)
    async with deps.engine.begin() as conn:  # as after a release that moved minutes and days only
        await conn.execute(
            text("DELETE FROM pipeline.rollup WHERE grain = 'hour' AND bucket_at >= :at"),
            {"at": NOON.replace(hour=11)},
        )
        await conn.execute(text("UPDATE pipeline.event_count SET rolled_up = 0"))
    await complete_rollups(deps)
    assert await rollup_differences(deps.engine) == []

    async with deps.engine.begin() as conn:
        assert not await rollup_store.complete_hours(conn)
    assert await rollup_differences(deps.engine) == []
