"""The pages of an operator's desk in a real Chromium: axe, widths, without script, by the keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import Page, browser, program
from desk_day import BATCH_DAY, a_quarantined, lay_out, the_break
from looked_at import faults
from pipeline_rig import World, rows
from running_service import SESSION, Service
from seeded_day import Seeded

from data_pipeline.api.console import quarantine as quarantine_pages

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="NO CHROMIUM on this machine: the desk was not looked at by a browser (apt-get install chromium)",
)

BREAKS = "/console/reconciliation/breaks"


@pytest.fixture
async def page(tmp_path: Path, service: Service, seeded: Seeded, world: World) -> AsyncIterator[Page]:
    await lay_out(service, world, seeded, tmp_path)
    async with browser(tmp_path / "profile") as page:
        await page.call("Network.setCookie", name="console", value=SESSION, url=service.url)
        yield page


async def until(page: Page, expression: str) -> None:
    """Raises AssertionError with what the page says instead."""
    for _ in range(200):
        if await page.ask(expression):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await page.ask("document.body.innerText"))


async def test_the_desk_is_accessible_and_fits_every_width(
    service: Service, page: Page, tmp_path: Path
) -> None:
    """Full pages, and those with nothing on them or with a refusal."""
    paths = {
        "reconciliation": f"/console/reconciliation?day={BATCH_DAY}",
        "breaks": BREAKS,
        "breaks-none": f"{BREAKS}?owner=ada&class=timing",
        "break-proposed": await the_break(service, "missing_in_ledger", BATCH_DAY),
        "break-claimed": await the_break(service, "fee_differs"),
        "break-open": await the_break(service, "amount_differs"),
        "break-payout": await the_break(service, "payout_amount_differs"),
        "payouts": "/console/reconciliation/payouts",
        "quarantine": "/console/quarantine",
        "quarantined": await a_quarantined(service),
        "reports-volume": "/console/reports?report=volume&by=channel",
        "reports-approval": "/console/reports?report=approval&grain=hour&from=2026-11-23&to=2026-11-24",
        "reports-refused": "/console/reports?zone=Mars",
        "exports": "/console/exports",
        "archive": "/console/archive",
    }
    paths = {f"desk-{name}": path for name, path in paths.items()}
    assert await faults(page, service.url, paths, tmp_path) == []
    assert [told for told in page.complaints if "status of 4" not in told] == []


async def test_without_script_a_break_is_closed_by_pressing_its_button(service: Service, page: Page) -> None:
    here = await the_break(service, "amount_differs")
    await page.open(service.url + here, script=False)
    await page.call(
        "Emulation.setScriptExecutionDisabled", value=False
    )  # to press as a person does: console.js never ran
    await page.ask("document.querySelector('[value=accept]').click(); true")
    await page.ask(
        "document.querySelector('.choices ~ label textarea').value = 'rounded by the channel'; true"
    )
    await page.ask("document.querySelector('.choices ~ button').click(); true")
    await until(page, "document.body.innerText.includes('Closed as it is')")


async def test_a_replay_in_steps_goes_on_by_itself(
    service: Service, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_pages, "STEP", 2)
    await page.open(service.url + "/console/quarantine")
    await page.ask("document.querySelector('[action=\"/console/quarantine/replay\"] button').click(); true")
    await until(page, "document.body.innerText.includes('still open with the newest reason')")
    tries = [row["attempt_count"] for row in await rows(service.deps.engine, "quarantine", order="id")]
    assert tries == [2] * 6


async def test_the_rows_of_the_desk_are_reached_by_the_keyboard(service: Service, page: Page) -> None:
    press = "dispatchEvent(new KeyboardEvent('keydown', {key: 'j'})); document.activeElement.href || ''"
    for path, leads in ((BREAKS, "/breaks/brk_"), ("/console/quarantine", "/console/quarantine?"),
                        ("/console/reconciliation", "/console/reconciliation?day=")):  # fmt: skip
        await page.open(service.url + path)
        assert leads in await page.ask(press)
