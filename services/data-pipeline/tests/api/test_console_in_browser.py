"""The console in a real Chromium: loads without complaint, refreshes itself, fits a phone, works without script."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import Page, browser, program
from pipeline_rig import a_sale, ingest
from running_service import SESSION, Service
from seeded_day import Seeded

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="NO CHROMIUM on this machine: the console was not looked at by a browser (apt-get install chromium)",
)

PICTURES = os.environ.get("CONSOLE_PICTURES")  # a directory: keep a picture of every page, width and scheme


@pytest.fixture
async def page(tmp_path: Path, service: Service) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=service.url)
        yield page


async def test_pages_load_without_complaint_and_fit_every_width(
    service: Service, seeded: Seeded, page: Page, tmp_path: Path
) -> None:
    refunded = next(event for event in seeded.payments if event.type == "refund.succeeded.v1")
    paths = {
        "overview": "/console",
        "payment": f"/console/payments/{refunded.aggregate_id}",
        "reconciliation": "/console/reconciliation",
    }
    for name, path in paths.items():
        for width in (1440, 1024, 390):
            for is_dark in (False, True):
                await page.open(service.url + path, width=width, is_dark=is_dark)
                assert await page.ask("document.documentElement.scrollWidth") <= width, (name, width)
                scheme = "dark" if is_dark else "light"
                await page.picture(Path(PICTURES or tmp_path) / f"{name}-{width}-{scheme}.png")
    assert page.complaints == []


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
