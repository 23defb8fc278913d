"""What looks at settlements have found: over HTTP, on the pages, and how these look in a browser."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from chromium import browser, program
from merchant_story import MERCHANT, Story
from pipeline_rig import NOON, World, ingest, rows
from running_service import SESSION, Service
from sqlalchemy import text

from data_pipeline.api.console import settlements as pages
from data_pipeline.operations.check_settlements import check_settlements
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.watch_heads import watch_heads

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
VIOLATIONS = """axe.run().then(found => found.violations.map(
    one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 120)).join(" | ")))"""
PICTURES = os.environ.get("CONSOLE_PICTURES")
BROUGHT = text(
    """
    INSERT INTO pipeline.fact_transfer (journal_id, line, event_id, position, occurred_at, aggregate_id, merchant_id,
        debit, credit, amount_minor, currency, kind)
    VALUES (CAST(:id AS text), 0, 'evt_' || CAST(:id AS text), 2, :at, 'pay_1', :merchant_id,
        'channel:card_sim\\:receivable', :credit, 4200, 'EUR', 'posted')
    """
)


@pytest.fixture
async def found(service: Service, world: World, tmp_path: Path) -> Service:
    """A closed batch, a movement of before it that came into no batch, and one that none can take."""
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"})
    service.app.state.deps = service.deps = replace(service.deps, settings=settings)
    assert "were not compared with the facts yet" in await service.page("/console/settlements")
    assert "Every movement that was looked at" in await service.page("/console/settlements/left-out")
    story = Story(at=NOON - timedelta(days=1))
    story.capture(1, 10_000, fee=100)
    story.first += 1  # nothing is known of the event at position 2
    story.capture(3, 100)
    world.events["gateway"] += story.events
    await ingest(service.deps.engine, story.events)
    await watch_heads(service.deps)
    await settle_merchants(service.deps)
    async with service.deps.engine.begin() as conn:
        for number, merchant_id in ((1, MERCHANT), (2, "mer_other")):
            said = {"merchant_id": merchant_id, "credit": f"merchant:{MERCHANT}:pending"}
            await conn.execute(BROUGHT, {"id": f"je_{number:026d}", "at": NOON - timedelta(days=3), **said})
    await check_settlements(service.deps, budget_s=600)
    return service


async def test_how_far_looks_have_come_and_what_they_found_is_told(
    found: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = await found.get("/v1/settlements/checks")
    told = ("next_batch_count", "no_batch_count", "followed_position", "walked_position", "unchecked_count")
    assert [checks[name] for name in told] == [1, 1, 3, 3, 0]
    assert {datetime.fromisoformat(checks[name]) for name in ("checked_since", "looked_at", "ended_at")} == {
        NOON
    }
    [closed, following] = await rows(found.deps.engine, "settlement_batch", "id, number", order="number")
    assert checks["differing"] == [closed["id"]]
    page = await found.page("/console/settlements")
    assert "1 batch is not what the facts say" in page
    assert "1 movement was found that no batch had" in page
    assert "1 movement of merchants' accounts no batch can take".replace("'", "&#39;") in page.replace(
        "'", "&#39;"
    )
    assert "books pending" in await found.page(f"/console/settlements/{closed['id']}")
    shown = await found.get(f"/v1/settlements/{closed['id']}")
    assert shown["differences"] == {"books_pending_minor": 4_200}

    first = await found.get("/v1/settlements/left-out?limit=1")
    rest = await found.get("/v1/settlements/left-out", params={"after": first["next_after"]})
    assert [one["journal_id"][-1] for one in first["data"] + rest["data"]] == ["2", "1"]
    assert [one["next_batch_id"] for one in first["data"] + rest["data"]] == [None, following["id"]]
    monkeypatch.setattr(pages, "PAGE", 1)
    page = await found.page("/console/settlements/left-out")
    assert "no batch can" in page
    assert 'rel="next"' in page


@pytest.mark.skipif(
    program() is None, reason="NO CHROMIUM on this machine: the pages were not looked at by a browser"
)
async def test_the_pages_fit_every_width_and_are_accessible(found: Service, tmp_path: Path) -> None:
    [batch, _] = await rows(found.deps.engine, "settlement_batch", "id", order="number")
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=found.url)
        for name, path in (("list", ""), ("left-out", "/left-out"), ("batch", f"/{batch['id']}")):
            for width in (1440, 390):
                for is_dark in (False, True):
                    await page.open(f"{found.url}/console/settlements{path}", width=width, is_dark=is_dark)
                    assert await page.ask("document.documentElement.scrollWidth") <= width
                    kind = f"{width}-{'dark' if is_dark else 'light'}"
                    await page.picture(Path(PICTURES or tmp_path) / f"settlements-{name}-{kind}.png")
                    await page.ask(AXE.read_text() + "; true")
                    assert await page.ask(VIOLATIONS) == []
        assert page.complaints == []
