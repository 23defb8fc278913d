"""What the engine counted about a payer, as small charts: for each thing counted one bar per window."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_FACT: Final = re.compile(
    r"(card|customer|device|email|ip|merchant|terminal)_(count|sum|declines|cards|countries|frauds)_(\d+)(m|h|d)"
)
_WHAT: Final = {
    "count": "payments",
    "sum": "amount",
    "declines": "declines",
    "cards": "cards",
    "countries": "countries",
    "frauds": "frauds",
}
_WHOSE: Final = {"ip": "Address", "email": "E-mail"}
_UNITS: Final = {"m": ("min", 1), "h": ("h", 60), "d": ("d", 1440)}
BAR_HEIGHT_PX: Final = 24


@dataclass(frozen=True, slots=True)
class WindowBar:
    label: str
    value: int
    height: float


@dataclass(frozen=True, slots=True)
class Velocity:
    """One thing counted over growing windows. `is_money`: in minor units of the reference currency."""

    name: str
    bars: list[WindowBar]
    is_money: bool


def velocities_of(facts: Mapping[str, Any]) -> list[Velocity]:
    """In the order of what is nearest to the payer; what was never seen (all zero) is left out."""
    found: dict[tuple[str, str], list[tuple[int, str, int]]] = {}
    for name, value in facts.items():
        if match := _FACT.fullmatch(name):
            whose, what, length, unit = match.groups()
            word, minutes = _UNITS[unit]
            found.setdefault((whose, what), []).append(
                (int(length) * minutes, f"{length} {word}", int(value))
            )
    order = {
        name: n
        for n, name in enumerate(("card", "customer", "email", "device", "ip", "terminal", "merchant"))
    }
    return [
        _velocity(whose, what, sorted(windows))
        for (whose, what), windows in sorted(found.items(), key=lambda one: (order[one[0][0]], one[0][1]))
        if any(value for _, _, value in windows)
    ]


def _velocity(whose: str, what: str, windows: list[tuple[int, str, int]]) -> Velocity:
    most = max(value for _, _, value in windows)
    bars = [
        WindowBar(label, value, max(1.0, round(BAR_HEIGHT_PX * value / most, 1)))
        for _, label, value in windows
    ]
    return Velocity(f"{_WHOSE.get(whose, whose.capitalize())}: {_WHAT[what]}", bars, what == "sum")


def other_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What no chart shows, by name. A window that did not overflow is no news."""
    return {
        name: value
        for name, value in sorted(facts.items())
        if not _FACT.fullmatch(name) and not (name.endswith("_saturated") and not value)
    }
