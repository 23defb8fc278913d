"""How long a break has been open, in the bands in which people ask for it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

BANDS: Final = ((1, "0-1 days"), (3, "2-3 days"), (7, "4-7 days"), (30, "8-30 days"))
OLDEST: Final = "over 30 days"
NAMES: Final = (*(band for _, band in BANDS), OLDEST)


def days_open(opened_at: datetime, now: datetime) -> int:
    """Whole days; a clock that is behind counts as none."""
    return max(0, (now - opened_at).days)


def age_band(days: int) -> str:
    """The band of so many days."""
    return next((band for last, band in BANDS if days <= last), OLDEST)


def days_of(band: str) -> tuple[int, int | None]:
    """The first and the last day of a band of `NAMES`; None for one without end."""
    first = 0
    for last, name in BANDS:
        if name == band:
            return first, last
        first = last + 1
    return first, None
