"""The console as it is used: of an empty warehouse, on a narrow phone, without script, by nothing but a keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import Page, browser, program
from looked_at import faults
from running_service import SESSION, Service
from seeded_day import Seeded

from data_pipeline.api.console.rail import RAIL

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="NO CHROMIUM on this machine: the console was not used by a browser (apt-get install chromium)",
)

SHIFT = 8  # as the protocol calls it
NARROW = 320  # the narrowest phones, and WCAG 1.4.10: 1280 px at 400 %
STOPS_MAX = 250
PATHS = {
    entry.path.removeprefix("/console").strip("/").replace("/", "-") or "overview": entry.path
    for entry in RAIL
}
# What has the focus: its name, or why a person who sees the page would not find it.
FOCUSED = """(() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const name = one.id || one.name || one.textContent.trim().slice(0, 30) || one.getAttribute("aria-label");
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  if (box.width === 0 || box.height === 0) return "hidden: " + name;
  if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return "away: " + name;
  if (style.outlineStyle === "none" && style.boxShadow === "none") return "without a mark: " + name;
  return name;
})()"""
WHOLE = "document.querySelector('main').innerText.trim().length > 20 && document.querySelectorAll('h1').length === 1"


@pytest.fixture
async def page(tmp_path: Path, service: Service) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=service.url)
        yield page


async def press(page: Page, key: str, code: int, *, modifiers: int = 0) -> None:
    """As a keyboard does."""
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        await page.call(
            "Input.dispatchKeyEvent",
            type=kind, key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers, **text,
        )  # fmt: skip


async def tab(page: Page) -> str | None:
    await press(page, "Tab", 9)
    found: str | None = await page.ask(FOCUSED)
    return found


@pytest.mark.timeout(600)
async def test_with_nothing_in_it_every_page_fits_the_narrowest_phone_and_is_accessible(
    service: Service, page: Page, tmp_path: Path
) -> None:
    """Nothing has happened yet, and the risk engine is away."""
    assert await faults(page, service.url, PATHS, tmp_path, widths=(NARROW,)) == []


@pytest.mark.timeout(600)
async def test_without_script_every_page_of_an_empty_warehouse_says_something(
    service: Service, page: Page
) -> None:
    silent = []
    for name, path in PATHS.items():
        await page.open(service.url + path, width=NARROW, script=False)
        await page.call("Emulation.setScriptExecutionDisabled", value=False)  # to ask; console.js never ran
        if not await page.ask(WHOLE) or "undefined" in await page.ask("document.body.innerText"):
            silent.append(name)
    assert silent == []


@pytest.mark.timeout(600)
async def test_full_pages_fit_the_narrowest_phone(
    service: Service, seeded: Seeded, page: Page, tmp_path: Path
) -> None:
    paths = {
        "payment-narrow": f"/console/payments/{seeded.payments[0].aggregate_id}",
        "breaks-narrow": "/console/reconciliation/breaks",
        "accounts-narrow": "/console/ledger/accounts",
    } | {f"{name}-narrow": PATHS[name] for name in ("overview", "payments", "ledger", "reconciliation")}
    assert await faults(page, service.url, paths, tmp_path, widths=(NARROW,)) == []


@pytest.mark.timeout(600)
async def test_by_tab_alone_everything_is_found_in_sight_and_marked(
    service: Service, seeded: Seeded, page: Page
) -> None:
    wrong = []
    for path in ("/console", "/console/payments", "/console/ledger", "/console/reports", "/console/system"):
        await page.open(service.url + path)
        stops: list[str] = []
        while (stop := await tab(page)) is not None and len(stops) < STOPS_MAX:
            stops.append(stop)
            if stop.startswith(("hidden: ", "away: ", "without a mark: ")):
                wrong.append(f"{path}: {stop}")
        assert stops[0] == "Skip to content", path
        assert "q" in stops, f"{path}: the search is not reached"
    assert wrong == []


async def test_by_keyboard_alone_a_payment_is_searched_for_and_its_panel_opened(
    service: Service, seeded: Seeded, page: Page
) -> None:
    await page.open(service.url + "/console/ledger")
    await press(page, "/", 191)
    assert await tab(page) != "q", "the key leads to the search, and Tab goes on from there"
    await press(page, "Tab", 9, modifiers=SHIFT)
    assert await page.ask("document.activeElement.id") == "q"
    await page.call("Input.insertText", text="order-150")
    await press(page, "Enter", 13)
    for _ in range(100):
        if await page.ask("location.pathname") == f"/console/payments/pay_{150:026d}":
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(await page.ask("document.body.innerText"))
    while (stop := await tab(page)) is not None and not stop.startswith("Time range"):
        pass
    await press(page, "Enter", 13)
    assert await page.ask("document.querySelector('.period').open") is True
    assert await tab(page) == "Last hour"
