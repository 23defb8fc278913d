"""Reports and exports in the console: the API's own answers, as tables, bars, links to the rows, and files."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pipeline_rig import NOON, rows
from running_service import Service
from seeded_day import SEEDED, Seeded
from sqlalchemy import text

from data_pipeline.api.console import reports
from data_pipeline.api.console.asked import question_of
from data_pipeline.api.console.bucket_chart import bucket_chart
from data_pipeline.api.console.report_rows import behind
from data_pipeline.domain.reports import REPORTS
from data_pipeline.operations.make_exports import make_exports
from data_pipeline.operations.run_report import run_report
from platform_kit.money import plain_minor

PATH = "/console/reports"
DAY = "from=2026-11-23&to=2026-11-24"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")


async def test_every_report_is_shown_in_every_grain(service: Service, seeded: Seeded) -> None:
    for name, report in REPORTS.items():
        html = await service.page(f"{PATH}?report={name}&{DAY}&grain=hour&zone=Asia/Kolkata")
        assert f"<h1>{report.title}</h1>" in html
        assert report.meaning in html.replace("&#39;", "'")
    assert "No facts in this range" in await service.page(f"{PATH}?from=2026-01-01&to=2026-01-02")


async def test_the_table_is_the_answer_and_its_rows_lead_to_the_payments_they_count(
    service: Service, seeded: Seeded
) -> None:
    html = await service.page(f"{PATH}?report=volume&{DAY}&by=channel&zone=Europe/Berlin&grain=day")
    told = await service.get(
        "/v1/reports/volume?from=2026-11-22T23:00:00Z&to=2026-11-23T23:00:00Z&by=channel"
        "&time_zone=Europe/Berlin&grain=day"
    )
    assert f"{len(told['rows'])} rows" in text_of(html)
    question = question_of("volume", {"from": "2026-11-23", "to": "2026-11-24", "zone": "Europe/Berlin",
                                      "grain": "day", "by": "channel"}, datetime.now(UTC))  # fmt: skip
    checked = 0
    for row in told["rows"]:
        address = behind(question, row, NOON)
        if row["channel"] == "none":
            assert address is None
            continue
        assert address is not None
        assert address.replace("&", "&amp;") in html
        listed = await service.page(address)
        assert len(re.findall(r"/console/payments/pay_", listed)) == min(row["payment_count"], 50)
        checked += 1
    assert checked >= 4


async def test_bars_have_every_bucket_and_gaps_where_nothing_was(service: Service, seeded: Seeded) -> None:
    typed = {"from": "2026-11-23", "to": "2026-11-24", "grain": "hour"}
    question = question_of("approval", typed, datetime.now(UTC))
    told = await run_report(service.deps, question)
    chart = bucket_chart(question, told["rows"])
    assert chart is not None
    assert len(chart.bars) == len({row["bucket"] for row in told["rows"]}) < 24
    assert chart.bars[0].width < 100 / 24  # 24 places, though most are empty
    assert "24 buckets, together 150" in chart.summary
    html = await service.page(f"{PATH}?report=approval&{DAY}&grain=hour")
    assert html.count('class="series"') == len(chart.bars)
    assert 'class="series"' not in await service.page(f"{PATH}?report=approval&{DAY}")
    assert 'class="series"' not in await service.page(
        f"{PATH}?report=fees&{DAY}&grain=hour"
    )  # several currencies


async def test_rows_that_no_page_lists_lead_nowhere(service: Service, seeded: Seeded) -> None:
    """Time to outcome counts decided payments, chargebacks captured ones; the list of breaks knows only now."""
    for name, to, leads in (("latency", "2026-11-24", False), ("chargebacks", "2026-11-24", False),
                            ("break-ageing", "2026-11-24", False), ("break-ageing", "", True)):  # fmt: skip
        question = question_of(name, {"from": "2026-11-23", "to": to} if to else {}, NOON)
        keys = dict.fromkeys(question.keys, "EUR")
        assert (behind(question, keys, NOON) is not None) is leads, (name, to)


async def test_an_answer_that_is_cut_off_is_neither_drawn_nor_given_as_a_file(
    service: Service, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = f"report=approval&{DAY}&grain=hour&by=method"
    assert 'class="series"' in await service.page(f"{PATH}?{query}")
    monkeypatch.setattr(reports, "run_report", partial(run_report, rows_max=1))
    html = await service.page(f"{PATH}?{query}")
    assert "The first 1 of 1 and more" in text_of(html)
    assert 'class="series"' not in html
    assert f"{PATH}.csv" not in html
    assert "take an export" in await service.page(f"{PATH}.csv?{query}", status=422)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("zone=Mars", "none of the IANA"),
        ("from=yesterday", "A time is written like"),
        ("grain=second", "A grain is one of"),
        ("from=2026-11-24&to=2026-11-23", "must be before"),
        ("report=secrets", "A report is one of"),
        ("from=2026-01-01&to=2026-11-01&grain=hour", "Hours are told of at most 62 days"),
    ],
)
async def test_what_cannot_be_answered_is_said_beside_the_question(
    service: Service, query: str, why: str
) -> None:
    html = await service.page(f"{PATH}?{query}", status=422)
    assert why in html
    assert "Filter" in html


async def test_a_reports_file_has_decimals_and_another_report_keeps_the_rest(
    service: Service, seeded: Seeded
) -> None:
    async with service.session.get(
        f"{service.url}{PATH}.csv?report=fees&{DAY}&by=channel&currency=EUR"
    ) as answer:
        assert answer.status == 200, await answer.text()  # fees have no channel: the split is left out
        [row] = list(csv.DictReader(io.StringIO(await answer.text())))
    assert row["currency"] == "EUR"
    assert re.fullmatch(r"[0-9]+\.[0-9]{2}", row["charged"])


async def test_every_amount_of_a_reports_file_is_a_decimal_and_a_mean_is_rounded(
    service: Service, seeded: Seeded
) -> None:
    async with service.session.get(f"{service.url}{PATH}.csv?report=volume&{DAY}") as answer:
        told = list(csv.DictReader(io.StringIO(await answer.text())))
    assert not [name for name in told[0] if name.endswith("_minor")]
    answered = await service.get("/v1/reports/volume?from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z")
    for row, whole in zip(told, answered["rows"], strict=True):
        for name in ("captured", "average_captured"):
            assert row[name] == plain_minor(round(whole[f"{name}_minor"]), row["currency"])


async def test_a_file_is_asked_for_made_and_fetched_by_its_link(
    service: Service, seeded: Seeded, tmp_path: Path
) -> None:
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"})
    service.app.state.deps = service.deps = replace(service.deps, settings=settings)
    fields = {"subject": "payments", "format": "csv", "from": "2026-11-23", "to": "2026-11-24", "zone": "UTC"}
    status, to, _ = await service.send("/console/exports", fields)
    assert status == 303
    waiting = text_of(await service.page(to))
    assert "Asked for." in waiting
    [row] = await rows(service.deps.engine, "export")
    assert (row["requested_by"], row["state"]) == ("admin-1", "due")

    await make_exports(service.deps)
    html = await service.page(to)
    assert "The file is made" in html
    [row] = await rows(service.deps.engine, "export")
    assert row["manifest"]["sha256"] in html
    link = re.search(r'href="(/v1/exports/[^"]+)" download', html)
    assert link is not None
    live = html[html.index('data-live="exports"') :]  # what is told of it is what the page asks for again
    assert "The file is made" in live
    async with service.session.get(service.url + link[1].replace("&amp;", "&")) as answer:
        assert len((await answer.text()).splitlines()) == SEEDED + 1
    async with service.deps.engine.begin() as conn:
        await conn.execute(text("UPDATE pipeline.export SET state = 'failed', fault = 'no room'"))
    failed = text_of(await service.page(to))
    assert "The file could not be made" in failed
    assert "Asked for. The worker" not in failed


@pytest.mark.parametrize(
    "fields", [{"subject": "secrets", "format": "csv"}, {"subject": "payments", "format": "exe"},
               {"subject": "volume", "format": "csv", "from": "never"}],
)  # fmt: skip
async def test_a_file_that_cannot_be_is_refused_and_nothing_is_asked_for(
    service: Service, fields: dict[str, str]
) -> None:
    assert (await service.send("/console/exports", fields))[0] == 422
    assert await rows(service.deps.engine, "export") == []


async def test_the_form_of_an_export_is_filled_from_a_report(service: Service, seeded: Seeded) -> None:
    html = await service.page(f"{PATH}?report=fees&{DAY}&zone=Europe/Berlin&grain=day&currency=EUR")
    link = re.findall(r'href="(/console/exports\?[^"]+)"', html)[
        -1
    ]  # the rail's, before it, has the times alone
    query = parse_qs(urlsplit(link.replace("&amp;", "&")).query)
    assert query == {"subject": ["fees"], "from": ["2026-11-23"], "to": ["2026-11-24"], "zone": ["Europe/Berlin"],
                     "grain": ["day"], "currency": ["EUR"]}  # fmt: skip
    form = await service.page(link.replace("&amp;", "&"))
    assert '<option value="fees" selected>' in form
    assert 'name="currency" value="EUR"' in form
