"""The range of time in the top bar. It stands in the address and nowhere else: a view can be sent to somebody, back
works, and no script is needed. The links of the rail take it along, each under the names that its page has for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from data_pipeline.api.console.rail import Entry

TYPED_MAX: Final = 32
OF_A_PLACE: Final = frozenset({"before", "after", "cursor", "told", "came"})
"""What an address says of one page of a list, or of what was just done: not so of another range."""


@dataclass(frozen=True, slots=True)
class Choice:
    words: str
    address: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Period:
    """A range as it was typed, [since, until) in UTC; "" is open. `entry` is the line of the rail that the page is
    of."""

    entry: Entry
    path: str
    since: str
    until: str
    others: Sequence[tuple[str, str]]
    """What else the address has and what stays when the range changes."""
    now: datetime

    @property
    def is_set(self) -> bool:
        return bool(self.since or self.until)

    @property
    def words(self) -> str:
        """`27 Nov 14:30 to 28 Nov 01:00`."""
        if not self.is_set:
            return "Any time"
        if not self.until:
            return f"Since {_said(self.since)}"
        return f"{_said(self.since)} to {_said(self.until)}" if self.since else f"Until {_said(self.until)}"

    @property
    def names(self) -> tuple[str, str]:
        return self.entry.period

    @property
    def carried(self) -> Sequence[tuple[str, str]]:
        """What a form that has no fields for it takes along."""
        own = {"from": self.since, "to": self.until}
        shown = self.names if self.entry.has_period else ()
        return [(name, text) for name, text in own.items() if text and name not in shown]

    @property
    def choices(self) -> Sequence[Choice]:
        """Ranges that people ask for; `Any time` takes it away."""
        now = self.now.astimezone(UTC).replace(second=0, microsecond=0)
        midnight = now.replace(hour=0, minute=0)
        spans = {
            "Last hour": (now - timedelta(hours=1), None),
            "Last 24 hours": (now - timedelta(days=1), None),
            "Today": (midnight, None),
            "Yesterday": (midnight - timedelta(days=1), midnight),
            "Last 7 days": (midnight - timedelta(days=6), None),
            "Last 30 days": (midnight - timedelta(days=29), None),
            "Any time": (None, None),
        }
        found = []
        for words, (since, until) in spans.items():
            typed = tuple(f"{at:%Y-%m-%dT%H:%M}" if at else "" for at in (since, until))
            found.append(
                Choice(words, self._address(self.path, self.entry, *typed), typed == (self.since, self.until))
            )
        return found

    def on(self, entry: Entry) -> str:
        """The address of another page, of the same time."""
        return self._address(entry.path, entry, self.since, self.until, with_others=False)

    def _address(self, path: str, entry: Entry, since: str, until: str, *, with_others: bool = True) -> str:
        asked = list(self.others) if with_others else []
        asked += [(name, text) for name, text in zip(entry.period, (since, until), strict=True) if text]
        return f"{path}?{urlencode(asked)}" if asked else path


def period_of(
    entry: Entry, path: str, asked: Mapping[str, str], pairs: Sequence[tuple[str, str]], now: datetime
) -> Period:
    """The range that an address asks for: by the names of its page, or by those that every page takes along."""
    since, until = (asked.get(name, "").strip()[:TYPED_MAX] for name in entry.period)
    own = {*entry.period, "from", "to"}
    others = [(name, text) for name, text in pairs if name not in own | OF_A_PLACE and text]
    return Period(entry, path, since, until, others, now)


def _said(typed: str) -> str:
    """As it was typed where it is no time: the page says what is wrong with it."""
    try:
        return f"{datetime.fromisoformat(typed):%-d %b %H:%M}"
    except ValueError:
        return typed
