"""The states of a replay, and what its copies must have in common with what they replace."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ReplayState(StrEnum):
    """`differs` means built and not swapped, because the copies have other totals and nobody allowed that."""

    REQUESTED = "requested"
    BUILDING = "building"
    SWAPPED = "swapped"
    DIFFERS = "differs"
    FAILED = "failed"
    CANCELLED = "cancelled"


Totals = Mapping[str, int]
"""Counts and sums by name, such as `fact_payment` or `moved EUR` in minor units."""


def differing(live: Totals, rebuilt: Totals) -> dict[str, dict[str, int]]:
    """The totals that are not equal, with both values; a name that one side lacks is 0 there."""
    return {
        name: {"live": live.get(name, 0), "rebuilt": rebuilt.get(name, 0)}
        for name in sorted({*live, *rebuilt})
        if live.get(name, 0) != rebuilt.get(name, 0)
    }
