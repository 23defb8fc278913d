"""What a scan looks for: somebody's values in each spelling that we write, and their tokens.

Whatever keeps a text puts quotes and backslashes into it: JSON, CSV, a row of Postgres, and each in the other. So they
are dropped from both sides before anything is compared (`bare`), and no depth of quoting hides a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

QUOTING = "\"'\\"
LEAST = 5  # characters: a shorter text is found in everything
PLACES_MAX, LEFT_OUT_MAX = 1_000, 100  # what the gateway keeps of a report, those with a value first
PLACE_MAX = 300  # characters of one
LONG_NUMBER = re.compile(r"\d{5,}")  # of a file: the gateway takes no text that may hold a card's
URL_SAFE = ("", "/", "!'()*")  # what the writers of URLs leave as it is: a form, Python, JavaScript
ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


def bare(text: str) -> str:
    """As texts are compared: lower case, without quotes and backslashes."""
    return _unquoted(text.lower())


def _unquoted(text: str) -> str:
    return text.replace('"', "").replace("'", "").replace("\\", "")


@dataclass(frozen=True)
class Sought:
    """`values` and `tokens` as they are looked for, bare; `count` values, and `too_short` ones that were left out."""

    values: Sequence[str]
    tokens: Sequence[str]
    count: int
    too_short: int

    def is_readable_in(self, text: str) -> bool:
        """Whether a value stands in a text that is bare."""
        return any(value in text for value in self.values)

    def is_named_in(self, text: str) -> bool:
        return any(token in text for token in self.tokens)

    def hidden_in(self, text: str) -> str:
        """The text with an ellipsis for each value, however it is spelled and quoted there."""
        return self._spelled.sub("…", text) if self.is_readable_in(bare(text)) else text

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        between = f"[{re.escape(QUOTING)}]*"
        longest_first = sorted(self.values, key=len, reverse=True)
        return re.compile("|".join(between.join(map(re.escape, one)) for one in longest_first), re.IGNORECASE)


@dataclass(slots=True)
class Place:
    """Somewhere that was read: how much, and how much of it holds a value, or a token."""

    place: str
    read: int = 0
    values: int = 0
    tokens: int = 0

    def look(self, text: str, sought: Sought) -> None:
        """Count one text."""
        compared = bare(text)
        self.read += 1
        self.values += sought.is_readable_in(compared)
        self.tokens += sought.is_named_in(compared)


@dataclass(slots=True)
class Findings:
    """All places, what could not be read with the reason, and the services whose logs were among it."""

    places: list[Place] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    logged_by: set[str] = field(default_factory=set)

    def add(self, others: Findings) -> None:
        self.places += others.places
        self.left_out += others.left_out
        self.logged_by |= others.logged_by

    @property
    def verdict(self) -> str:
        """`readable` when a value stands somewhere, `incomplete` when nobody can say, else `clean`."""
        if any(place.values for place in self.places):
            return "readable"
        return "incomplete" if self.left_out or not self.places else "clean"

    def report(self, sought: Sought) -> dict[str, Any]:
        """As the gateway keeps it with the erasure: in the name of a place, too, no value stands."""

        def shown(text: str) -> str:
            return LONG_NUMBER.sub("…", sought.hidden_in(text))[:PLACE_MAX]

        return {
            "verdict": self.verdict,
            "scanned_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "places": [
                {"place": shown(one.place), "read": one.read, "values": one.values, "tokens": one.tokens}
                for one in sorted(self.places, key=lambda place: -place.values)[:PLACES_MAX]
            ],
            "left_out": [shown(one) for one in self.left_out[:LEFT_OUT_MAX]],
            "values_sought": sought.count,
            "values_too_short": sought.too_short,
        }


def sought_of(values: Iterable[str], tokens: Iterable[str]) -> Sought:
    """Each value as it is, as JSON and URLs write it, and as Postgres shows it in bytes."""
    distinct = {value.strip() for value in values if value.strip()}
    long_enough = {value for value in distinct if len(bare(value)) >= LEAST}
    spelled = {spelling for value in long_enough for spelling in _spellings(value)}
    tokens_lowered = sorted({token.lower() for token in tokens})
    return Sought(sorted(spelled), tokens_lowered, len(long_enough), len(distinct) - len(long_enough))


def _spellings(value: str) -> set[str]:
    in_json = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    in_urls = {quote(value, safe) for safe in URL_SAFE} | {quote_plus(value)}
    in_bytes = {one.encode().hex() for one in (value, value.lower(), *in_json)}
    written = {value, *in_json, *in_urls, *in_bytes}
    # A Postgres whose collation is C has lower case for ASCII alone.
    return {bare(one) for one in written} | {_unquoted(one.translate(ASCII_LOWER)) for one in written}
