"""What a scan looks for: somebody's values in each spelling that we write, and their tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

LEAST = 5  # characters: a shorter text is found in everything
PLACES_MAX, LEFT_OUT_MAX = 1_000, 100  # what the gateway keeps of a report, those with a value first
LONG_NUMBER = re.compile(r"\d{5,}")  # of a file: the gateway takes no text that may hold a card's


@dataclass(frozen=True, slots=True)
class Sought:
    """`values` and `tokens` as they are looked for, in lower case; `too_short` were left out."""

    values: Sequence[str]
    tokens: Sequence[str]
    count: int
    too_short: int

    def is_readable_in(self, text: str) -> bool:
        """Whether a value stands in a text that is in lower case."""
        return any(value in text for value in self.values)

    def is_named_in(self, text: str) -> bool:
        return any(token in text for token in self.tokens)


@dataclass(slots=True)
class Place:
    """Somewhere that was read: how much, and how much of it holds a value, or a token."""

    place: str
    read: int = 0
    values: int = 0
    tokens: int = 0

    def look(self, text: str, sought: Sought) -> None:
        """Count one text."""
        lowered = text.lower()
        self.read += 1
        self.values += sought.is_readable_in(lowered)
        self.tokens += sought.is_named_in(lowered)


@dataclass(slots=True)
class Findings:
    """All places, and what could not be read with the reason."""

    places: list[Place] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`readable` when a value stands somewhere, `incomplete` when nobody can say, else `clean`."""
        if any(place.values for place in self.places):
            return "readable"
        return "incomplete" if self.left_out or not self.places else "clean"

    def report(self, sought: Sought) -> dict[str, Any]:
        """As the gateway keeps it with the erasure."""
        return {
            "verdict": self.verdict,
            "scanned_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "places": [
                {"place": _shown(one.place), "read": one.read, "values": one.values, "tokens": one.tokens}
                for one in sorted(self.places, key=lambda place: -place.values)[:PLACES_MAX]
            ],
            "left_out": [_shown(one) for one in self.left_out[:LEFT_OUT_MAX]],
            "values_sought": sought.count,
        }


def _shown(place: str) -> str:
    return LONG_NUMBER.sub("…", place)


def sought_of(values: Iterable[str], tokens: Iterable[str]) -> Sought:
    """Each value as it is, as JSON and URLs write it, and as Postgres shows it in bytes."""
    distinct = {value.strip() for value in values if value.strip()}
    long_enough = {value for value in distinct if len(value) >= LEAST}
    spelled = {spelling.lower() for value in long_enough for spelling in _spellings(value)}
    tokens_lowered = sorted({token.lower() for token in tokens})
    return Sought(sorted(spelled), tokens_lowered, len(long_enough), len(distinct) - len(long_enough))


def _spellings(value: str) -> set[str]:
    in_json = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    in_bytes = {one.encode().hex() for one in (value, value.lower())}
    return {value, quote(value), quote_plus(value), *in_json, *in_bytes}
