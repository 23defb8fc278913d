"""The console: what an operator reads, in every state that a page can be in."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from pipeline_rig import NOON, World, a_line, a_payment, a_sale, an_event, ingest, settings_for
from running_service import Service
from seeded_day import Seeded

from data_pipeline.api.console.chart import minute_chart, nice_ceiling
from data_pipeline.api.console.render import (
    account,
    ago,
    counted,
    milliseconds,
    money,
    movement,
    percent,
    span,
    took,
)
from data_pipeline.domain import camt053
from data_pipeline.domain.statements import Statement, StatementEntry
from data_pipeline.operations.reconcile_payouts import reconcile_payouts
from data_pipeline.operations.watch_heads import watch_heads
from data_pipeline.store import positions
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine


def text_of(html: str) -> str:
    """What a reader sees, on one line."""
    visible = re.sub(r"<(script|style|title|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible)).strip()


async def test_the_root_leads_to_the_console(service: Service) -> None:
    async with service.session.get(service.url + "/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (307, "/console")


async def test_pages_may_load_nothing_from_elsewhere_and_run_nothing_inline(
    service: Service, seeded: Seeded
) -> None:
    some_payment = seeded.payments[0].aggregate_id
    for path in ("/console", "/console/reconciliation", f"/console/payments/{some_payment}"):
        async with service.session.get(service.url + path) as answer:
            policy = answer.headers["content-security-policy"]
            html = await answer.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)", html)
        assert not re.search(r"\son\w+=|\sstyle=|<style", html)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


async def test_static_files_are_served_from_here(service: Service) -> None:
    for name, kind in (
        ("console.css", "text/css"),
        ("console.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        async with service.session.get(f"{service.url}/console/static/{name}") as answer:
            assert answer.status == 200
            assert answer.content_type == kind


async def test_the_overview_shows_six_figures_chart_decisions_payments_and_reconciliation(
    service: Service, seeded: Seeded
) -> None:
    html = await service.page("/console")
    text = text_of(html)
    overview = await service.get("/v1/reports/overview")

    assert html.count('<div class="figure') == 6
    euros = next(row for row in overview["volumes"] if row["currency"] == "EUR")
    assert money(euros["captured_minor"], "EUR") in text
    assert f"Approval rate {overview['approval_rate'] * 100:.1f} %" in text
    assert f"Blocked by risk {overview['blocked_share'] * 100:.1f} %" in text
    assert f"≤ {took(overview['p95_ms'])}" in text
    assert f"Unknown now {overview['unknown_count']}" in text
    assert "4 breaks to look at" in text
    assert html.count('<rect class="approved"') == sum(
        row["payment_count"] > 0 for row in overview["minutes"]
    )
    for word in ("allowed", "blocked", "challenged", "review"):
        assert word in text
    latest = overview["payments"][0]
    assert f'href="/console/payments/{latest["payment_id"]}"' in html
    assert money(latest["amount_minor"], latest["currency"]) in text
    assert "missing in ledger" in text


async def test_every_status_has_an_icon_and_a_word(service: Service) -> None:
    statuses = [
        "processing",
        "requires_action",
        "unknown",
        "authorised",
        "captured",
        "declined",
        "failed",
        "voided",
        "expired",
    ]
    events = [
        an_event(
            position,
            f"payment.{status}.v1" if status != "processing" else "payment.created.v1",
            payment=a_payment(position, status=status),
        )
        for position, status in enumerate(statuses, start=1)
    ]
    await ingest(service.deps.engine, events)
    html = await service.page("/console")
    for status in statuses:
        assert re.search(
            rf'<span class="pill \w+"><svg class="icon".*?</svg>{status.replace("_", " ")}</span>', html
        )


@pytest.mark.parametrize(
    ("age", "tone", "words"),
    [
        (timedelta(seconds=3), "good", "as of 3 s ago"),
        (timedelta(seconds=10), "good", "as of 10 s ago"),
        (timedelta(seconds=11), "attention", "as of 11 s ago"),
        (timedelta(seconds=60), "attention", "as of 1 min ago"),
        (timedelta(seconds=61), "bad", "as of 1 min ago"),
    ],
)
async def test_freshness_turns_amber_after_ten_seconds_and_red_after_sixty(
    service: Service, world: World, age: timedelta, tone: str, words: str
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.heads["gateway"] = 1
    await watch_heads(replace(service.deps, clock=FixedClock(NOON - age)))
    html = await service.page("/console")
    assert re.search(rf'<span class="pill {tone}" role="status">.*?{words}, position 1', html, re.DOTALL)


async def test_being_behind_is_told_with_the_time_of_the_last_event(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1, at=NOON - timedelta(seconds=30))])
    async with service.deps.engine.begin() as conn:
        await positions.note_head(conn, "events:payments", 5001, NOON)
    assert "as of 30 s ago, position 1, 5,000 behind" in text_of(await service.page("/console"))


async def test_a_stale_stream_is_announced_and_the_rest_still_works(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1, at=NOON - timedelta(hours=2))])
    text = text_of(await service.page("/console"))
    assert "What you see is 2 h old" in text
    assert "12.50 EUR" in text


async def test_a_risk_engine_that_is_silent_is_told_without_alarm(service: Service, world: World) -> None:
    world.is_down.add("risk")
    world.heads["gateway"] = 1
    await ingest(service.deps.engine, [a_sale(1)])
    await watch_heads(service.deps)
    assert "Assessments are not up to date" in text_of(await service.page("/console"))


async def test_an_empty_console_says_what_would_appear_and_how(service: Service) -> None:
    text = text_of(await service.page("/console"))
    assert "No event has arrived yet" in text
    assert "make demo" in text
    assert "Approval rate –" in text
    assert "Nothing was reconciled" in text_of(await service.page("/console/reconciliation"))


async def test_a_waiting_quarantine_is_announced(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1), an_event(2, "payment.teleported.v9")])
    assert "1 event waits in quarantine" in text_of(await service.page("/console"))


async def test_a_payment_is_told_step_by_step(service: Service, seeded: Seeded) -> None:
    refunded = next(event for event in seeded.payments if event.type == "refund.succeeded.v1")
    html = await service.page(f"/console/payments/{refunded.aggregate_id}")
    text = text_of(html)

    steps = ["Risk assessed", "Payment created", "Captured", "Refunded"]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    assert "channel card_sim receivable to merchant …000001 available" in text
    assert "merchant …000001 available to channel card_sim receivable" in text
    assert "Merchant keeps" in text
    assert html.count("<details id=") == 4
    assert "&#34;refund.succeeded.v1&#34;" in html  # the event as received, on demand


async def test_a_blocked_payment_shows_the_reasons(service: Service, seeded: Seeded) -> None:
    blocked = next(event for event in seeded.payments if event.data["payment"]["risk"]["decision"] == "block")
    text = text_of(await service.page(f"/console/payments/{blocked.aggregate_id}"))
    assert "Seven payments with this card in ten minutes" in text
    assert "score 87 of 100" in text
    assert "Declined because blocked by risk" in text


async def test_text_from_outside_is_never_markup(service: Service) -> None:
    evil = '<img src=x onerror="alert(1)">'
    await ingest(service.deps.engine, [a_sale(1, reference=evil)])
    for path in ("/console", f"/console/payments/{a_payment(1)['id']}"):
        html = await service.page(path)
        assert evil not in html
        assert "&lt;img src=x" in html
    assert evil not in await service.page(
        "/console/search?q=%3Cimg%20src=x%20onerror=%22alert(2)%22%3E", status=404
    )


@pytest.mark.parametrize(
    "payment_id", ["pay_none", "pay_0000000000000000000000000z", "%00", "pay_" + "0" * 500]
)
async def test_an_unknown_payment_gets_a_page_that_helps(service: Service, payment_id: str) -> None:
    assert "Search takes a whole payment id" in await service.page(
        f"/console/payments/{payment_id}", status=404
    )


async def test_search_goes_straight_to_the_payment(service: Service, seeded: Seeded) -> None:
    refunded = next(event for event in seeded.payments if event.type == "refund.succeeded.v1")
    number = int(refunded.aggregate_id.removeprefix("pay_"))
    for query in (
        refunded.aggregate_id,
        f"order-{number}",
        f"rf_{number:026d}",
        f"asm_{number:026d}",
        f" order-{number} ",
    ):
        async with service.session.get(
            f"{service.url}/console/search", params={"q": query}, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers.get("location")) == (
                303,
                f"/console/payments/{refunded.aggregate_id}",
            )


@pytest.mark.parametrize("query", ["", "nothing", "%00", "%F0%9F%92%B3", "x" * 400, "%27%20OR%201=1"])
async def test_search_without_a_result_says_what_it_takes(service: Service, query: str) -> None:
    assert "Search takes" in await service.page(f"/console/search?q={query}", status=404)


async def test_the_reconciliation_page_shows_both_sides_and_the_difference(
    service: Service, seeded: Seeded
) -> None:
    html = await service.page("/console/reconciliation")
    text = text_of(html)
    assert "Control totals of 2026-11-23" in text
    for words in ("amount differs", "duplicate in file", "missing in channel file", "missing in ledger"):
        assert words in text
    assert "not booked" in text
    assert "not in file" in text
    assert html.count('class="differs"') >= 3


async def test_what_the_bank_has_of_a_batch_or_of_none_is_told_with_its_difference(
    service: Service, world: World
) -> None:
    world.settle([a_line(1), a_line(2)])
    await service.post("/v1/reconciliations", {"date": "2026-11-23", "channel": "card_sim"})
    entries = (StatementEntry(2000, "card_sim-20261123-EUR"), StatementEntry(-777, "RENT"))
    statement = Statement("PLATFORM", 1, "EUR", date(2026, 11, 24), 0, 1223, entries)
    world.statements["EUR", "2026-11-24", "camt053"] = camt053.generate(statement)
    await reconcile_payouts(service.deps, NOON.date())
    text = text_of(await service.page("/console/reconciliation"))
    for words in ("20.00 EUR at the bank -4.14 EUR", "-7.77 EUR at the bank -7.77 EUR", "charge at card_sim"):
        assert words in text.replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ")
    assert "unexpected on statement" in text
    await service.page("/console")


async def test_a_refused_file_is_told_with_its_line(service: Service, world: World) -> None:
    world.files["card_sim", NOON.date()] = b"channel,channel_reference\nEND,0,0\n"
    await service.post("/v1/reconciliations", {"date": "2026-11-23", "channel": "card_sim"})
    text = text_of(await service.page("/console/reconciliation"))
    assert "The file was refused whole" in text
    assert "(line 1)" in text


async def test_another_day_can_be_chosen_and_nonsense_is_refused(service: Service, seeded: Seeded) -> None:
    assert "2026-11-20 was not reconciled" in text_of(
        await service.page("/console/reconciliation?day=2026-11-20")
    )
    html = await service.page("/console/reconciliation?day=tomorrow", status=422)
    assert "This address is not understood" in text_of(html)


async def test_without_its_database_the_console_says_so_and_tries_again(service: Service) -> None:
    dead = create_engine(settings_for("postgresql://nobody@127.0.0.1:9/platform"))
    service.app.state.deps = replace(service.deps, engine=dead)
    for path in ("/console", "/console/reconciliation", f"/console/payments/{a_payment(1)['id']}"):
        html = await service.page(path, status=503)
        assert "The console cannot reach its database" in text_of(html)
        assert "Look at Postgres first" in text_of(html)
        assert re.search(r"req_[0-9a-z]{26}", html)
        assert 'http-equiv="refresh"' in html
    await dead.dispose()


async def test_a_page_weighs_little(service: Service, seeded: Seeded) -> None:
    """console.md: at most 300 kB without cache, everything included."""
    weight = len(await service.page("/console"))
    for name in ("console.css", "console.js", "icon.svg"):
        weight += len(await service.page(f"/console/static/{name}"))
    assert weight < 100_000


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 2), (1, 2), (3, 4), (5, 6), (9, 10), (11, 20), (27, 30), (81, 100), (101, 200), (2500, 3000)],
)
def test_the_axis_ends_at_an_even_round_number(value: int, top: int) -> None:
    assert nice_ceiling(value) == top
    assert top % 2 == 0


def test_bars_stack_to_the_count_and_stay_inside_the_plot() -> None:
    rows = [
        {
            "bucket_at": NOON + timedelta(minutes=n),
            "payment_count": n,
            "approved_count": n // 2,
            "declined_count": n // 3,
        }
        for n in range(60)
    ]
    chart = minute_chart(rows)
    assert len(chart.bars) == 59
    for bar in chart.bars:
        assert bar.other[1] + bar.declined[1] + bar.approved[1] == pytest.approx(
            chart.height * bar.count / 60, abs=0.05
        )
        assert 0 <= bar.x <= 100 - bar.width
        assert bar.other[0] >= 0
    assert [tick.label for tick in chart.x_ticks] == ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert money(123456789, "EUR") == "1,234,567.89 EUR"
    assert money(123456789, "JPY") == "123,456,789 JPY"
    assert money(123456789, "KWD") == "123,456.789 KWD"
    assert money(-5, "EUR") == "-0.05 EUR"


def test_times_shares_and_counts_read_well() -> None:
    assert [span(timedelta(seconds=s)) for s in (-1, 0, 59, 60, 3600, 90_000)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "1 h",
        "1 d",
    ]
    assert ago(None, NOON) == "never"
    assert milliseconds(timedelta(milliseconds=84)) == "84 ms"
    assert milliseconds(timedelta(seconds=2.314)) == "2.31 s"
    assert (percent(None), percent(0.1234)) == ("–", "12.3 %")
    assert (counted(1, "line"), counted(2, "line"), counted(2, "currency", "currencies")) == (
        "1 line",
        "2 lines",
        "2 currencies",
    )
    kinds = ("posted", "pending", "post", "release", "void")
    assert [movement(kind) for kind in kinds] == [
        "posted",
        "held",
        "captured from hold",
        "hold ended",
        "hold ended",
    ]
    assert account("merchant:mer_00000000000000000000000001:available") == "merchant …000001 available"
