"""Time is passed in, so that the core stays pure and tests own the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is: an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock. Expiry and order are decided by the database's (reliability: clocks may lie)."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that moves only when told."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta) -> None:
        self._at += by


def isoformat(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds and `Z`: 2026-11-23T04:05:06.789012Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def isoformat_or_none(at: datetime | None) -> str | None:
    """The same of a moment that may not have come."""
    return isoformat(at) if at else None
