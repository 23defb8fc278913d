"""State tables as data: what every small machine of the gateway (disputes, payouts) does with its own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class IllegalMove(Exception):
    """The object is in a state that does not admit this event; `allowed` are the events that it does admit."""

    def __init__(self, thing: str, status: StrEnum, event: StrEnum, allowed: list[str]) -> None:
        self.thing, self.status, self.event, self.allowed = thing, status, event, allowed
        super().__init__(f"a {thing} that is {status} does not admit {event}")


def moved(thing: str, table: Mapping[tuple[S, E], S], status: S, event: E) -> S:
    """The state after `event`. Raises IllegalMove for a pair that is not in the table."""
    to = table.get((status, event))
    if to is None:
        raise IllegalMove(thing, status, event, sorted(str(e) for s, e in table if s is status))
    return to
