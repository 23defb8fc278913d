"""Reports over HTTP: figures equal to what was told, in one shape, and bad questions refused in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pipeline_rig import a_case, a_payment, an_attempt, an_event, ingest, rollup_differences, some_attempts
from running_service import Service
from seeded_day import SEEDED, Seeded

from data_pipeline.clients.event_sources import RISK
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.reports import REPORTS

DAY = "from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z"


def told_payments(seeded: Seeded) -> list[dict[str, Any]]:
    """The last state that was told of each payment."""
    return list({event.data["payment"]["id"]: event.data["payment"] for event in seeded.payments}.values())


async def test_volume_is_what_was_told(service: Service, seeded: Seeded) -> None:
    report = await service.get(f"/v1/reports/volume?{DAY}")
    captured: Counter[str] = Counter()
    for payment in told_payments(seeded):
        captured[payment["currency"]] += payment["captured_minor"]
    assert {row["currency"]: row["captured_minor"] for row in report["rows"]} == captured
    assert sum(row["payment_count"] for row in report["rows"]) == SEEDED
    assert report["as_of"]["payments"]["position"] == len(seeded.payments)
    assert await rollup_differences(service.deps.engine) == []


async def test_approval_and_funnel_agree_with_the_overview(service: Service, seeded: Seeded) -> None:
    overview = await service.get("/v1/reports/overview")
    (approval,) = (await service.get(f"/v1/reports/approval?{DAY}"))["rows"]
    (funnel,) = (await service.get(f"/v1/reports/funnel?{DAY}"))["rows"]
    assert approval["approval_rate"] == pytest.approx(overview["approval_rate"])
    assert approval["blocked_share"] == pytest.approx(overview["blocked_share"])
    assert approval["open_count"] == overview["unknown_count"]
    ends = ("approved_count", "declined_count", "blocked_count", "open_count", "other_count")
    assert sum(approval[name] for name in ends) == approval["payment_count"] == SEEDED
    steps = [funnel[measure.name] for measure in REPORTS[ReportName.FUNNEL].measures]
    assert steps == sorted(steps, reverse=True)
    assert funnel["approved_count"] == approval["approved_count"]


async def test_declines_of_a_group_share_one_whole(service: Service, seeded: Seeded) -> None:
    rows = (await service.get(f"/v1/reports/declines?{DAY}&currency=EUR"))["rows"]
    wanted = Counter(
        payment["decline_code"]
        for payment in told_payments(seeded)
        if payment["status"] == "declined" and payment["currency"] == "EUR"
    )
    assert {row["decline_code"]: row["declined_count"] for row in rows} == wanted
    assert len(wanted) == 2
    assert sum(row["share"] for row in rows) == pytest.approx(1)


async def test_times_to_outcome_are_exact_ranks(service: Service, seeded: Seeded) -> None:
    created = {
        e.data["payment"]["id"]: e.occurred_at for e in seeded.payments if e.type == "payment.created.v1"
    }
    decided: dict[str, Any] = {}
    for event in seeded.payments:
        if event.data["payment"]["status"] not in ("processing", "unknown"):
            decided.setdefault(event.data["payment"]["id"], event.occurred_at)
    times = sorted(int((at - created[id_]).total_seconds() * 1000) for id_, at in decided.items())
    (row,) = (await service.get(f"/v1/reports/latency?{DAY}"))["rows"]
    assert row["decided_count"] == len(times)
    assert row["max_ms"] == times[-1]
    assert row["p95_ms"] == times[-(-95 * len(times) // 100) - 1]


async def test_settlement_and_ledger_are_one_money(service: Service, seeded: Seeded) -> None:
    settled = (await service.get(f"/v1/reports/settlement?{DAY}"))["rows"]
    moved: Counter[str] = Counter()
    for row in settled:
        moved[row["currency"]] += row["charge_minor"] + row["refund_minor"]
    ledger = (await service.get("/v1/reports/ledger"))["currencies"]
    assert {row["currency"]: row["moved_minor"] for row in ledger} == moved


async def test_open_breaks_are_counted_by_class_and_age(service: Service, seeded: Seeded) -> None:
    rows = (await service.get(f"/v1/reports/break-ageing?{DAY}"))["rows"]
    assert sum(row["break_count"] for row in rows) == 4
    assert {row["age_band"] for row in rows} == {"0-1 days"}
    later = await service.get("/v1/reports/break-ageing?from=2026-11-23T00:00:00Z&to=2026-11-30T00:00:00Z")
    assert {row["age_band"] for row in later["rows"]} == {"4-7 days"}


async def test_a_lost_dispute_is_a_chargeback_of_the_payment_s_own_day(
    service: Service, seeded: Seeded
) -> None:
    position = len(seeded.payments)
    payment = next(p for p in told_payments(seeded) if p["captured_minor"] > 0 and p["currency"] == "EUR")
    merchant, amount = f"merchant:{payment['merchant_id']}", payment["captured_minor"]
    steps = [
        ("dispute.opened.v1", f"{merchant}:available", f"{merchant}:disputed"),
        ("dispute.lost.v1", f"{merchant}:disputed", "channel:card_sim:receivable"),
    ]
    for number, (type_, debit, credit) in enumerate(steps, start=1):
        transfer = {
            "debit": debit,
            "credit": credit,
            "amount_minor": amount,
            "currency": "EUR",
            "kind": "posted",
        }
        journal = {"id": f"je_d{number:025d}", "transfers": [transfer]}
        event = an_event(
            position + number, type_, payment=payment, journal=journal, attempt=an_attempt(1, "dispute")
        )
        await ingest(service.deps.engine, [event])
    rows = (await service.get(f"/v1/reports/chargebacks?{DAY}&currency=EUR&grain=day"))["rows"]
    (row,) = rows
    assert (row["disputed_count"], row["disputed_minor"], row["lost_count"], row["lost_minor"]) == (
        1, amount, 1, amount,
    )  # fmt: skip
    assert row["bucket"] == "2026-11-23T00:00:00+00:00"
    assert row["chargeback_rate"] == 1 / row["captured_count"]


async def test_fees_and_costs_are_read_off_the_ledger(service: Service) -> None:
    merchant = "merchant:mer_00000000000000000000000001:pending"
    moves = [
        ("channel:card_sim:receivable", merchant, 10_000),
        (merchant, "platform:fees", 165),
        ("platform:fees", merchant, 40),
        ("platform:scheme_fees", "channel:card_sim:receivable", 60),
    ]
    transfers = [
        {"debit": debit, "credit": credit, "amount_minor": amount, "currency": "EUR", "kind": "posted"}
        for debit, credit, amount in moves
    ]
    journal = {"id": f"je_{1:026d}", "transfers": transfers}
    await ingest(service.deps.engine, [an_event(1, journal=journal, attempt=an_attempt(1))])
    (row,) = (await service.get(f"/v1/reports/fees?{DAY}"))["rows"]
    assert {name: row[name] for name in row if name.endswith("_minor")} == {
        "charged_minor": 10_000, "earned_minor": 165, "returned_minor": 40, "channel_costs_minor": 60,
        "net_minor": 65,
    }  # fmt: skip
    assert row["margin"] == pytest.approx(0.0065)


async def test_a_day_is_the_day_of_the_zone(service: Service) -> None:
    late = a_payment(1, created_at="2026-11-22T23:30:00.000000Z")
    await ingest(service.deps.engine, [an_event(1, payment=late)])
    span = "from=2026-11-20T00:00:00Z&to=2026-11-25T00:00:00Z"
    for zone, day in [
        ("UTC", "2026-11-22T00:00:00+00:00"),
        ("Europe/Berlin", "2026-11-23T00:00:00+01:00"),
        ("America/New_York", "2026-11-22T00:00:00-05:00"),
    ]:
        (row,) = (await service.get(f"/v1/reports/volume?{span}&grain=day&time_zone={zone}"))["rows"]
        assert row["bucket"] == day
    (row,) = (await service.get(f"/v1/reports/volume?{span}&grain=week&time_zone=Europe/Berlin"))["rows"]
    assert row["bucket"] == "2026-11-23T00:00:00+01:00"
    (row,) = (await service.get(f"/v1/reports/volume?{span}&grain=month&time_zone=Asia/Tokyo"))["rows"]
    assert row["bucket"] == "2026-11-01T00:00:00+09:00"


@pytest.mark.parametrize("name", ReportName)
async def test_every_report_has_the_columns_that_it_declares_at_every_split(
    service: Service, seeded: Seeded, name: ReportName
) -> None:
    await ingest(service.deps.engine, [some_attempts(len(seeded.payments) + 1, "due", "delivered")])
    await ingest(service.deps.engine, [a_case(10_000)], RISK)
    report = REPORTS[name]
    grains = ("total", "hour", "day", "week", "month") if report.has_grain else ("total",)
    for grain in grains:
        query = f"{DAY}&grain={grain}&by={','.join(report.options)}&time_zone=Asia/Kolkata"
        found = await service.get(f"/v1/reports/{name}?{query}")
        assert found["rows"], grain
        names = [column["name"] for column in found["columns"]]
        keys = names[: len(names) - len(report.measures) - len(report.ratios)]
        for row in found["rows"]:
            assert list(row) == names
        order = [[row[key] for key in keys] for row in found["rows"]]
        assert order == sorted(order)
        assert len({tuple(one) for one in order}) == len(order)


async def test_the_catalogue_defines_every_number(service: Service) -> None:
    catalogue = (await service.get("/v1/reports"))["data"]
    assert [one["report"] for one in catalogue] == list(ReportName)
    approval = next(one for one in catalogue if one["report"] == "approval")
    formulas = {column["name"]: column["formula"] for column in approval["columns"]}
    assert formulas["approval_rate"] == "approved_count / (approved_count + declined_count)"


async def test_an_empty_warehouse_has_empty_reports(service: Service) -> None:
    for name in ReportName:
        assert (await service.get(f"/v1/reports/{name}"))["rows"] == []


@pytest.mark.parametrize(
    "query",
    [
        "volume?time_zone=Mars/Olympus",
        "volume?by=colour",
        "volume?grain=minute",
        "volume?from=2026-11-24T00:00:00Z&to=2026-11-23T00:00:00Z",
        "volume?merchant_id=a'b",
        "risk?channel=card_sim",
        "break-ageing?grain=day",
        "unheard-of",
    ],
)
async def test_a_bad_question_is_refused_in_words(service: Service, query: str) -> None:
    problem = await service.get(f"/v1/reports/{query}", status=422)
    assert problem["detail"]
