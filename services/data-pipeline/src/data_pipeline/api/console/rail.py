"""The rail: pages in the order in which a day needs them. A page's author adds its line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One page. `waits` names the count of `Visit.waiting` that is shown as a badge; `group` is its heading."""

    path: str
    name: str
    waits: str | None = None
    group: str | None = None
    period: tuple[str, str] = ("from", "to")
    """What the page calls the begin and the end of the range in the top bar."""
    has_period: bool = False
    """Whether it looks at that range; others take it along."""

    def is_at(self, path: str) -> bool:
        """Whether `path` is this page or one below it."""
        return path == self.path or (self.path != "/console" and path.startswith(f"{self.path}/"))


RAIL: Final[Sequence[Entry]] = (
    Entry("/console", "Overview"),
    Entry("/console/payments", "Payments", has_period=True),
    Entry("/console/merchants", "Merchants"),
    Entry("/console/ledger", "Ledger", period=("from", "as_of"), has_period=True),
    Entry(
        "/console/risk/decisions",
        "Decisions",
        group="Risk",
        period=("made_from", "made_before"),
        has_period=True,
    ),
    Entry("/console/risk/rules", "Rules", group="Risk"),
    Entry("/console/risk/lists", "Lists", group="Risk"),
    Entry("/console/risk/queue", "Queue", waits="cases", group="Risk"),
    Entry("/console/risk/alerts", "Alerts", waits="alerts", group="Risk"),
    Entry("/console/reconciliation", "Reconciliation", waits="breaks"),
    Entry("/console/settlements", "Settlements"),
    Entry("/console/webhooks", "Webhooks"),
    Entry("/console/reports", "Reports", group="Data", has_period=True),
    Entry("/console/exports", "Exports", group="Data", has_period=True),
    Entry("/console/quarantine", "Quarantine", waits="quarantine", group="Data"),
    Entry("/console/archive", "Archive", group="Data"),
    Entry("/console/quality", "Quality", group="Data"),
    Entry("/console/system", "System"),
)


def entry_at(path: str) -> Entry:
    """The line of the rail that a page belongs to; of one that belongs to none, one of its own."""
    return next((entry for entry in RAIL if entry.is_at(path)), Entry(path, ""))
