"""The reports over HTTP: figures equal to what was told, bad input refused in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pipeline_rig import NOON, World
from running_service import Service
from seeded_day import SEEDED, Seeded


def told_payments(seeded: Seeded) -> dict[str, dict[str, Any]]:
    """The last state that was told of each payment."""
    return {event.data["payment"]["id"]: event.data["payment"] for event in seeded.payments}


async def test_the_overview_adds_up_to_what_was_told(service: Service, seeded: Seeded) -> None:
    overview = await service.get("/v1/reports/overview")
    payments = told_payments(seeded).values()

    assert overview["payment_count"] == len(payments) == SEEDED
    by_currency: dict[str, int] = {}
    for payment in payments:
        by_currency[payment["currency"]] = by_currency.get(payment["currency"], 0) + payment["captured_minor"]
    assert {row["currency"]: row["captured_minor"] for row in overview["volumes"]} == by_currency
    decided = [
        p
        for p in payments
        if p["risk"]["decision"] != "block" and p["status"] in ("captured", "authorised", "declined")
    ]
    approved = [p for p in decided if p["status"] != "declined"]
    assert overview["approval_rate"] == pytest.approx(len(approved) / len(decided))
    assert overview["unknown_count"] == sum(p["status"] == "unknown" for p in payments) > 0
    assert sum(row["payment_count"] for row in overview["minutes"]) == SEEDED
    assert overview["open_break_count"] == 4
    assert overview["streams"]["payments"]["position"] == len(seeded.payments)
    assert overview["now"].endswith("Z")


async def test_rollups_of_all_grains_agree(service: Service, seeded: Seeded) -> None:
    minutes = (
        await service.get(
            "/v1/reports/rollups?grain=minute&from=2026-11-23T10:00:00Z&to=2026-11-23T13:00:00Z"
        )
    )["data"]
    days = (await service.get("/v1/reports/rollups?grain=day"))["data"]
    hours = (await service.get("/v1/reports/rollups?grain=hour&from=2026-11-23T10:00:00Z"))["data"]
    assert sum(row["amount_minor"] for row in hours) == sum(row["amount_minor"] for row in days)
    for measure in ("payment_count", "approved_count", "declined_count", "captured_minor", "refunded_minor"):
        assert sum(row[measure] for row in minutes) == sum(row[measure] for row in days) > 0
    assert {row["bucket_at"] for row in days} == {"2026-11-23T00:00:00Z"}


async def test_the_ledger_report_is_the_money_that_was_moved(service: Service, seeded: Seeded) -> None:
    moved: dict[str, int] = {}
    for event in seeded.payments:
        for transfer in (event.data["journal"] or {"transfers": []})["transfers"]:
            moved[transfer["currency"]] = moved.get(transfer["currency"], 0) + transfer["amount_minor"]
    report = await service.get("/v1/reports/ledger")
    assert {row["currency"]: row["moved_minor"] for row in report["currencies"]} == moved


async def test_the_status_says_how_far_each_stream_is_read(
    service: Service, seeded: Seeded, world: World
) -> None:
    status = await service.get("/v1/status")
    assert status["payments"]["position"] == status["payments"]["head"] == len(seeded.payments)
    assert (status["payments"]["lag"], status["risk"]["lag"]) == (0, 0)
    assert status["events_stored"] == len(seeded.payments) + len(seeded.assessments)

    world.heads["gateway"] += 7
    assert (await service.get("/v1/status"))["payments"]["lag"] == 7


async def test_with_the_gateway_down_the_status_tells_the_last_known_head(
    service: Service, seeded: Seeded, world: World
) -> None:
    world.is_down.add("gateway")
    status = (await service.get("/v1/status"))["payments"]
    assert (status["head"], status["producer_answers"]) == (len(seeded.payments), False)


async def test_a_warehouse_that_nothing_reached_answers_with_nothing(service: Service) -> None:
    overview = await service.get("/v1/reports/overview")
    assert (overview["payment_count"], overview["approval_rate"], overview["p95_ms"]) == (0, None, None)
    assert (await service.get("/v1/reconciliations"))["data"] == []
    assert (await service.get("/v1/status"))["events_stored"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "grain=week",
        "grain=minute&from=yesterday",
        "grain=minute&from=2026-11-23T10:00:00",
        "grain=minute&from=2026-11-23T10:00:00Z&to=2026-11-23T09:00:00Z",
        "grain=minute&from=2026-11-20T10:00:00Z&to=2026-11-23T09:00:00Z",
        "grain=day&from=2020-11-20T10:00:00Z&to=2026-11-23T09:00:00Z",
        "grain=day&to=9999-12-31T23:59:59Z&from=0001-01-01T00:00:00Z",
        "grain=day&to=0001-01-02T00:00:00Z",
    ],
)
async def test_a_bad_range_is_refused_in_words(service: Service, query: str) -> None:
    problem = await service.get(f"/v1/reports/rollups?{query}", status=422)
    assert problem["type"].startswith("/problems/")
    assert problem["detail"]


async def test_today_is_the_day_of_the_clock(service: Service, seeded: Seeded) -> None:
    later = NOON + timedelta(days=1)
    rows = await service.get(
        f"/v1/reports/rollups?grain=day&from={later:%Y-%m-%d}T12:00:00Z&to={later:%Y-%m-%d}T18:00:00Z"
    )
    assert rows["data"] == []
