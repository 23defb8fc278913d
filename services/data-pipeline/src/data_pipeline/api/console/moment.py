"""Moments that a person types into an address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from platform_kit.problems import InvalidRequest

FRIDAY = 4  # of date.weekday()


class BadMoment(InvalidRequest):
    code, title = "bad-moment", "This time is not understood"


def moment(typed: str) -> datetime | None:
    """A day or a minute, in UTC unless it says otherwise; None for nothing typed. Raises BadMoment."""
    if not typed:
        return None
    try:
        at = datetime.fromisoformat(typed)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadMoment("A time is written like 2026-11-23 or 2026-11-23T14:30, in UTC.") from None


def usual_moments(now: datetime) -> list[tuple[str, str]]:
    """What people ask the books for: words, and the moment as an address has it."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    noon = midnight + timedelta(hours=12) - timedelta(days=(midnight.weekday() - FRIDAY) % 7)
    friday = noon if noon <= now else noon - timedelta(days=7)
    month = midnight.replace(day=1)
    named = [("last midnight", midnight), ("Friday noon", friday), ("start of the month", month)]
    return [(words, f"{at:%Y-%m-%dT%H:%M}") for words, at in named]
