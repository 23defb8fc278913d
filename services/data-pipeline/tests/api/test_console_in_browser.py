"""The console in a real Chromium: loads without complaint, refreshes itself, fits a phone, works without script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import risk_desk
from chromium import Page, browser, program
from looked_at import faults
from merchant_story import Story, a_day
from pipeline_rig import NOON, World, a_merchant, a_sale, ingest, rows
from running_service import SESSION, Service
from seeded_day import Seeded, told_by_gateway
from watched_day import watch_over

from data_pipeline.api.console.rail import RAIL
from data_pipeline.domain.operators import Role
from data_pipeline.operations.manage_operators import add_operator
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.watch_heads import watch_heads
from platform_kit.clock import isoformat

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="NO CHROMIUM on this machine: the console was not looked at by a browser (apt-get install chromium)",
)

MERCHANT = "mer_00000000000000000000000001"
ENTERED = """location.pathname === "/console/payments"
    && document.querySelector(".me summary")?.innerText.includes("ada")"""


@pytest.fixture(autouse=True)
def files_of_its_own(service: Service, tmp_path: Path) -> None:
    """Statements of a test are kept in its own directory."""
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"})
    service.app.state.deps = service.deps = replace(service.deps, settings=settings)


@pytest.fixture
async def page(tmp_path: Path, service: Service) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=service.url)
        yield page


async def settled(service: Service, world: World, first: int) -> tuple[str, str]:
    """A merchant's day of yesterday is closed, another's is open still: their batches."""
    story = a_day(first)
    later = Story(
        at=NOON - timedelta(hours=2),
        merchant="mer_00000000000000000000000002",
        first=first + len(story.events),
    )
    later.capture(9101, 12_000, fee=190)
    for told in (story, later):
        await ingest(service.deps.engine, told.events)
        world.events["gateway"] += told.events
    await watch_heads(service.deps)
    await settle_merchants(service.deps)
    found = await rows(service.deps.engine, "settlement_batch WHERE line_count > 0", "id, merchant_id, state")
    closed = next(
        row["id"] for row in found if row["state"] != "open" and row["merchant_id"] == story.merchant
    )
    return closed, next(row["id"] for row in found if row["merchant_id"] == later.merchant)


async def named(service: Service, world: World) -> None:
    """Two merchants have names, and one of them a history."""
    first = max(event.position or 0 for event in world.events["gateway"]) + 1
    fees = {
        "rules": [{"method": "card", "basis_points": 140, "fixed_minor": {"EUR": 25}}, {"basis_points": 90}]
    }
    kept = {"fee_plan": fees, "reserve": {"basis_points": 500, "days": 90}}
    told = [
        a_merchant(first, "Corner Shop", at=NOON - timedelta(days=40), terms={"fee_plan": fees}),
        a_merchant(first + 1, "Corner Market", at=NOON - timedelta(days=12), terms={"fee_plan": fees}),
        a_merchant(first + 2, "Corner Market", at=NOON - timedelta(days=3), mcc="5499", terms=kept),
        a_merchant(
            first + 3,
            "Blue Bakery",
            at=NOON - timedelta(days=9),
            id="mer_00000000000000000000000002",
            mcc="5462",
        ),
    ]
    await ingest(service.deps.engine, told)
    world.events["gateway"] += told
    await watch_heads(service.deps)


async def one_more(service: Service, world: World) -> None:
    """Something happened just now."""
    at = NOON - timedelta(seconds=2)
    told = [a_sale(len(world.events["gateway"]) + 1, 9_200, at=at, created_at=isoformat(at))]
    await ingest(service.deps.engine, told)
    world.events["gateway"] += told
    await watch_heads(service.deps)


@pytest.mark.timeout(900)  # every page six times: it grows with each, and a shared machine is slow
async def test_pages_load_without_complaint_fit_every_width_and_are_accessible(
    service: Service, seeded: Seeded, world: World, page: Page, tmp_path: Path
) -> None:
    """Every page of the rail, and those behind it, looked at by axe: a page that somebody adds is in here, too."""
    refunded = next(event for event in seeded.payments if event.type == "refund.succeeded.v1")
    payment = f"/console/payments/{refunded.aggregate_id}"
    told = refunded.data["payment"]
    created = datetime.fromisoformat(told["created_at"])
    world.histories[refunded.aggregate_id] = told_by_gateway(told, created)
    world.risk_answers = risk_desk.answers(NOON)
    world.events["gateway"] = list(seeded.payments)
    await named(service, world)
    closed, still_open = await settled(service, world, len(world.events["gateway"]) + 1)
    await one_more(service, world)
    await watch_over(service, world, tmp_path)
    paths = {
        entry.path.removeprefix("/console").strip("/").replace("/", "-") or "overview": entry.path
        for entry in RAIL
    }
    paths |= {
        "merchant": f"/console/merchants/{MERCHANT}",
        "payments-filtered": "/console/payments?currency=EUR&status=captured",
        "payments-none": "/console/payments?status=expired",
        "payment": payment,
        "payment-refund": f"{payment}/refund",
        "ledger-as-of": "/console/ledger?as_of=2026-11-23T11:45",
        "ledger-account": "/console/ledger/accounts/merchant:mer_00000000000000000000000001:available:EUR",
        "ledger-accounts": "/console/ledger/accounts",
        "ledger-transfer": f"/console/ledger/transfers/{told_journal(seeded)}",
        "risk-decision": f"/console/risk/decisions/asm_{0:026d}",
        "risk-case": f"/console/risk/queue/{risk_desk.CASE}",
        "risk-rule-set": f"/console/risk/rules/{risk_desk.CANDIDATE}",
        "risk-editor": f"/console/risk/rules/edit?from={risk_desk.CANDIDATE}",
        "settlement": f"/console/settlements/{closed}",
        "settlement-open": f"/console/settlements/{still_open}",
        "settlements-none": "/console/settlements?currency=CHF",
        "settlements-left-out": "/console/settlements/left-out",
        "not-found": "/console/search?q=nothing",
        "not-understood": "/console/reconciliation?day=tomorrow",
    }
    assert await faults(page, service.url, paths, tmp_path) == []
    assert [told for told in page.complaints if "status of 4" not in told] == []


def told_journal(seeded: Seeded) -> str:
    return next(str(event.data["journal"]["id"]) for event in seeded.payments if event.data["journal"])


async def test_the_log_in_is_accessible_and_lets_in(service: Service, page: Page, tmp_path: Path) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, "correct horse battery")
    await page.call("Network.clearBrowserCookies")
    found = await faults(page, service.url, {"log-in": "/console/payments"}, tmp_path, widths=(1440, 390))
    assert found == []
    await page.ask("document.querySelector('[name=name]').value = 'ada'; true")
    await page.ask("document.querySelector('[name=password]').value = 'correct horse battery'; true")
    await page.ask("document.querySelector('.log-in button').click(); true")
    for _ in range(200):
        if await page.ask(ENTERED):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await page.ask("document.body.innerText"))


async def test_keys_lead_to_the_search_and_through_the_rows(
    service: Service, seeded: Seeded, page: Page
) -> None:
    await page.open(service.url + "/console/payments")
    press = "dispatchEvent(new KeyboardEvent('keydown', {{key: '{}'}})); document.activeElement.{}"
    first = await page.ask(press.format("j", "href"))
    second = await page.ask(press.format("j", "href"))
    assert first != second
    assert await page.ask(press.format("k", "href")) == first
    assert await page.ask(press.format("?", "id") + "; document.getElementById('keys').open") is True
    await page.ask("document.getElementById('keys').close(); true")
    assert await page.ask(press.format("/", "id")) == "q"


async def test_the_overview_refreshes_itself(service: Service, seeded: Seeded, page: Page) -> None:
    await page.open(service.url + "/console")
    await ingest(service.deps.engine, [a_sale(len(seeded.payments) + 1, 999)])
    for _ in range(100):
        if "order-999" in await page.ask("document.body.textContent"):
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the new payment did not appear within ten seconds")
    assert page.complaints == []


async def test_without_script_everything_can_be_read(service: Service, seeded: Seeded, page: Page) -> None:
    await page.open(service.url + "/console", script=False)
    await page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "Payments per minute" in await page.ask("document.body.innerText")


async def test_everything_is_reached_by_tab_and_has_a_name(
    service: Service, seeded: Seeded, page: Page
) -> None:
    """What axe calls link-name, button-name, label, image-alt, document-title, html-has-lang, landmark-one-main."""
    await page.open(service.url + "/console")
    nameless = """[...document.querySelectorAll("a, button, summary, input:not([type=hidden])")].filter(one =>
        !(one.textContent.trim() || one.getAttribute("aria-label") || (one.labels && one.labels.length))).length"""
    assert await page.ask(nameless) == 0
    assert await page.ask("document.documentElement.lang") == "en"
    assert await page.ask("document.querySelectorAll('main').length") == 1
    assert await page.ask("document.querySelectorAll('h1').length") == 1
    pictures = "[...document.querySelectorAll('svg')].filter(one => !one.parentElement.closest('svg'))"
    assert await page.ask(f"{pictures}.every(one => one.ariaHidden === 'true' || one.ariaLabel)")
    order = await page.ask(
        "[...document.querySelectorAll('[tabindex]')].filter(one => one.tabIndex > 0).length"
    )
    assert order == 0


async def test_text_stands_out_from_its_ground_in_both_schemes(
    service: Service, seeded: Seeded, page: Page
) -> None:
    """WCAG 1.4.3: 4.5 to 1 for text, measured on what the browser computed."""
    for is_dark in (False, True):
        await page.open(service.url + "/console", is_dark=is_dark)
        assert await page.ask(WEAK_TEXTS) == []


WEAK_TEXTS = """(() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const groundOf = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || one.closest("svg, .hidden, script, noscript, .skip")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(one).color)), luminance(groundOf(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(one.textContent.trim().slice(0, 30) + " " + ratio.toFixed(2));
  }
  return [...new Set(weak)];
})()"""
