"""What is told of quality: over HTTP, on its page, and how the page looks in a browser."""

from __future__ import annotations

import html
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from chromium import browser, program
from pipeline_rig import NOON, TODAY, World, a_payment, an_event, ingest
from running_service import SESSION, Service
from seeded_day import fill
from sqlalchemy import text

from data_pipeline.api.console import quality
from data_pipeline.api.console.quality import HEIGHT_PX, score_bars
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.clock import FixedClock, isoformat

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
FIRST = NOON - timedelta(days=2)
VIOLATIONS = """axe.run().then(found => found.violations.map(
    one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 120)).join(" | ")))"""
PICTURES = os.environ.get("CONSOLE_PICTURES")


@pytest.fixture
async def looked_at(service: Service, world: World, tmp_path: Path) -> Service:
    """Three days of looks: well, then a warning, then a day that is blocked."""
    settings = service.deps.settings.model_copy(update={"snapshot_url": f"file://{tmp_path}/facts"})
    deps = replace(service.deps, settings=settings)
    service.app.state.deps = deps
    await fill(deps, world, FIRST)
    await _look(deps, days_later=0)
    await _change(deps, "SET authorised_minor = captured_minor - 1 WHERE captured_minor > 150000")
    await _look(deps, days_later=1)
    await _change(deps, "SET currency = 'XXQ' WHERE payment_id LIKE '%7'")
    await _look(deps, days_later=2)
    return service


async def _look(deps: Deps, days_later: int) -> None:
    async with deps.engine.begin() as conn:
        await snapshot_store.mark_all(conn)
    assert await publish_snapshot(replace(deps, clock=FixedClock(FIRST + timedelta(days=days_later))))


async def _change(deps: Deps, what: str) -> None:
    async with deps.engine.begin() as conn:
        await conn.execute(text(f"UPDATE pipeline.fact_payment {what}"))


async def test_scores_failures_and_blocked_days_are_told(looked_at: Service) -> None:
    found = await looked_at.get("/v1/quality")
    [payments] = [one for one in found["tables"] if one["table"] == "fact_payment"]
    assert (found["is_configured"], found["blocked_count"]) == (True, 1)
    assert payments["blocked_days"] == [FIRST.date().isoformat()]
    [unknown] = [one for one in payments["failures"] if one["rule"] == "currency_exponent"]
    assert (unknown["severity"], unknown["column"], unknown["failed_count"]) == ("block", "currency", 15)
    assert len(unknown["sample"]) == 5
    assert set(unknown["sample"][0]) == {"payment_id", "currency"}  # a key and the value at fault, no row
    assert [one["is_blocked"] for one in payments["history"]] == [False, False, True]
    scores = [one["score"] for one in payments["history"]]
    assert scores[0] == 1.0 > scores[1] > scores[2]
    looks = (await looked_at.get("/v1/quality/fact_payment?limit=2"))["data"]
    assert [look["is_blocked"] for look in looks] == [True, False]


async def test_nothing_is_claimed_of_what_was_not_looked_at(service: Service) -> None:
    found = await service.get("/v1/quality")
    assert {one["score"] for one in found["tables"]} == {None}
    assert found["is_configured"] is False
    page = await service.page("/console/quality")
    assert "Facts are published nowhere" in page
    assert "No rule is broken" not in page


async def test_the_page_says_what_is_blocked_and_shows_rows_at_fault(looked_at: Service) -> None:
    page = await looked_at.page("/console/quality")
    assert "1 day is not published" in page
    assert page.index("currency exponent") < page.index("captured within authorised")
    assert 'href="/console/payments/pay_' in page


async def test_days_that_wait_are_told(looked_at: Service) -> None:
    deps = looked_at.app.state.deps
    assert (await looked_at.get("/v1/quality"))["waiting_count"] == 0
    assert "wait for" not in await looked_at.page("/console/quality")
    async with deps.engine.begin() as conn:
        await snapshot_store.mark_all(conn)
    assert await publish_snapshot(deps, budget_s=-1)  # reaches nothing
    found = await looked_at.get("/v1/quality")
    [payments] = [one for one in found["tables"] if one["table"] == "fact_payment"]
    assert payments["waiting_days"] == [FIRST.date().isoformat()]
    waiting = found["waiting_count"]
    assert waiting == sum(len(one["waiting_days"]) for one in found["tables"]) > 1
    page = await looked_at.page("/console/quality")
    assert f"{waiting} days wait: changed, and not published since" in page
    assert f"1 day waits: {FIRST.date()}" in page


async def test_a_snapshot_that_does_not_answer_takes_no_page_away(looked_at: Service, tmp_path: Path) -> None:
    (tmp_path / "facts" / "manifest.json").write_text("{")
    assert (await looked_at.get("/v1/quality"))["waiting_count"] is None
    page = await looked_at.page("/console/quality")
    assert "which days wait for it is not known" in page
    assert "1 day is not published" in page


async def test_corrections_of_closed_days_are_shown_line_by_line(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "PAGE", 2)
    page = await service.page("/console/quality")
    assert "Nothing came later than 35 days" in page
    for number, days_ago in ((1, 40), (2, 41), (3, 42)):
        sold = a_payment(number, created_at=isoformat(NOON - timedelta(days=days_ago)))
        await ingest(service.deps.engine, [an_event(number, payment=sold)])
    page = await service.page("/console/quality")
    assert 'href="/console/quality/corrections"' in page
    assert '<td class="amount">3</td><td class="amount">3</td>' in page  # lines, and the days they correct
    first = await service.page("/console/quality/corrections")
    days = [(TODAY - timedelta(days=days_ago)).isoformat() for days_ago in (40, 41, 42)]
    assert [f">{day}</a>" in first for day in days] == [True, True, False]
    assert f"{(TODAY - timedelta(days=36)).isoformat()} and all before it are closed" in first
    [older] = re.findall(r'href="(/console/quality/corrections[^"]*before=[^"]*)"', first)
    second = await service.page(html.unescape(older))
    assert [f">{day}</a>" in second for day in days] == [False, False, True]
    chosen = await service.page(f"/console/quality/corrections?day={days[1]}&currency=eur")
    assert [f">{day}</a>" in chosen for day in days] == [False, True, False]
    for wrong in ("day=someday", "before=2026-11-23~x", "before=2026-11-23~2026-11-23~a"):
        await service.page(f"/console/quality/corrections?{wrong}", 422)


def test_a_bar_is_as_high_as_its_score_and_a_day_beyond_the_chart_has_none() -> None:
    history = {
        TODAY: {"score": 0.5, "is_blocked": True},
        TODAY - timedelta(days=1): {"score": 1.0, "is_blocked": False},
        TODAY - timedelta(days=2): {"score": 0.999, "is_blocked": False},
        TODAY - timedelta(days=40): {"score": 1.0, "is_blocked": False},
    }
    bars = score_bars(history, TODAY)
    assert [bar.tone for bar in bars] == ["attention", "good", "bad"]
    assert [bar.height for bar in bars[1:]] == [HEIGHT_PX, HEIGHT_PX / 2]


@pytest.mark.skipif(
    program() is None, reason="NO CHROMIUM on this machine: the page was not looked at by a browser"
)
async def test_the_pages_fit_every_width_and_are_accessible(looked_at: Service, tmp_path: Path) -> None:
    deps = looked_at.app.state.deps
    async with deps.engine.begin() as conn:
        await snapshot_store.mark_all(conn)
    assert await publish_snapshot(deps, budget_s=-1)
    sold = a_payment(900, created_at=isoformat(NOON - timedelta(days=40)))
    await ingest(deps.engine, [an_event(900, payment=sold)])
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=looked_at.url)
        for width in (1440, 390):
            for is_dark in (False, True):
                await page.open(looked_at.url + "/console/quality/corrections", width=width, is_dark=is_dark)
                assert await page.ask("document.documentElement.scrollWidth") <= width
                await page.picture(Path(PICTURES or tmp_path) / f"corrections-{width}-{is_dark}.png")
                await page.ask(AXE.read_text() + "; true")
                assert await page.ask(VIOLATIONS) == []
                await page.open(looked_at.url + "/console/quality", width=width, is_dark=is_dark)
                assert await page.ask("document.querySelector('h1').innerText") == "Quality"
                assert await page.ask("document.documentElement.scrollWidth") <= width
                scheme = "dark" if is_dark else "light"
                await page.picture(Path(PICTURES or tmp_path) / f"quality-told-{width}-{scheme}.png")
                await page.ask("document.querySelector('.rules').open = true")
                await page.ask(AXE.read_text() + "; true")
                assert await page.ask(VIOLATIONS) == []
        assert page.complaints == []
