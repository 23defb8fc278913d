"""Which breaks somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

NOBODY: Final = "-"
"""As an owner: breaks that are nobody's."""


class Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """None = any. `currency` is of either side, `age_band` one of `ageing.NAMES`."""

    which: Which = Which.OPEN
    day: date | None = None
    channel: str | None = None
    break_class: str | None = None
    state: str | None = None
    owner: str | None = None
    currency: str | None = None
    age_band: str | None = None
