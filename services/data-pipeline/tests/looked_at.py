"""Pages as a person sees them, at each width and in each scheme, and what axe finds wrong with them.

A page is loaded once and then seen anew: widths and schemes are media queries of its style sheets, which the browser
answers without asking the server again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from chromium import Page

AXE: Final = (Path(__file__).parent / "axe" / "axe.min.js").read_text() + "; true"
PICTURES: Final = os.environ.get("CONSOLE_PICTURES")
"""A directory: keep a picture of every page, width and scheme there."""
ONLY: Final = os.environ.get("CONSOLE_PAGES", "").split()
"""Names of pages, for who changes one: no others are opened."""
WIDTHS: Final = (1440, 1024, 390)
BETWEEN: Final = frozenset({1024})
"""Axe sees nothing there that it does not see on a wide screen or on a phone; what is too wide is still seen."""
COLOURS: Final = ("color-contrast", "link-in-text-block")
"""The rules of axe that ask which colours there are. All others find the same in the dark as in the light."""
FIND: Final = """axe.run({options}).then(found => found.violations.map(
    one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 120)).join(" | ")))"""


async def violations(page: Page, *, is_dark: bool = False) -> list[str]:
    """What axe finds in the page that is open; of a dark one, what is wrong with its colours."""
    if not await page.ask("'axe' in window"):
        await page.ask(AXE)
    rules = f"runOnly: {list(COLOURS)}, preload: false, " if is_dark else ""
    found = await page.ask(FIND.format(options="{" + rules + "resultTypes: ['violations']}"))
    assert isinstance(found, list), "axe did not run"
    return found


async def faults(
    page: Page, origin: str, paths: Mapping[str, str], keep: Path, *, widths: Sequence[int] = WIDTHS
) -> list[str]:
    """What is wrong with the pages, by name, width and scheme: wider than the screen, or against a rule of axe.

    Whatever has a fault is kept as a picture in `keep`.
    """
    found = []
    for name, path in paths.items():
        if ONLY and name not in ONLY:
            continue
        await page.open(origin + path, width=widths[0])
        for width in widths:
            for scheme in ("light", "dark"):
                await page.see(width=width, is_dark=scheme == "dark")
                is_wide = await page.ask("document.documentElement.scrollWidth") > width
                wrong = ["wider than the screen"] if is_wide else []
                if width not in BETWEEN:
                    wrong += await violations(page, is_dark=scheme == "dark")
                if PICTURES or wrong:
                    await page.picture(Path(PICTURES or keep) / f"{name}-{width}-{scheme}.png")
                found += [f"{name} {width} {scheme}: {one}" for one in wrong]
    return found
