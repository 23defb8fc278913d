"""One deadline enters with a request and shrinks at each hop; it travels as the milliseconds left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

HEADER: Final = "X-Deadline-Ms"
REMAINING_MAX_MS: Final = 600_000  # a peer may not ask us to work on one call for longer than ten minutes


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock. Durations, not dates, cross the wire: wall clocks may lie."""

    at_s: float
    now: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float] = time.monotonic) -> Self:
        """`seconds` from now."""
        return cls(now() + seconds, now)

    @classmethod
    def from_header(cls, value: str | None, now: Callable[[], float] = time.monotonic) -> Self | None:
        """The deadline that a caller sent, or None when it sent none or nonsense."""
        if value is None or not (value.isascii() and value.isdigit() and len(value) <= 9):
            return None
        return cls.after(min(int(value), REMAINING_MAX_MS) / 1000, now)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at_s - self.now())

    @property
    def expired(self) -> bool:
        return self.now() >= self.at_s

    def sooner(self, seconds: float) -> float:
        """The time that one step may take: its own limit or what is left, whichever is less."""
        return min(seconds, self.remaining())

    def header(self) -> str:
        """Whole milliseconds left, as the next hop is told."""
        return str(int(self.remaining() * 1000))
