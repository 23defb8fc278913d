"""How much of the way out each endpoint may take, so that a slow one cannot take it from the others.

As TCP does it: begin with one, double with every success that came quickly, fall back to one with anything else. A
receiver that hangs holds one place, a healthy one is soon served many at a time.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

PLACES_MAX: Final = 32  # of one endpoint: about 1,000 a second at 30 ms each, more than one shop can want
QUICK_S: Final = 1.0


class Flow:
    """Places taken and allowed, by endpoint. An endpoint that is not known yet may have one."""

    def __init__(self) -> None:
        self._allowed: dict[str, int] = {}
        self._taken: Counter[str] = Counter()

    def take(self, endpoint_id: str) -> None:
        """A delivery is on its way."""
        self._taken[endpoint_id] += 1

    def give_back(self, endpoint_id: str, *, succeeded: bool, seconds: float) -> None:
        """It has ended, well or not, after so long."""
        self._taken[endpoint_id] -= 1
        allowed = self._allowed.get(endpoint_id, 1)
        went_well = succeeded and seconds <= QUICK_S
        self._allowed[endpoint_id] = min(allowed * 2, PLACES_MAX) if went_well else 1

    def free(self) -> dict[str, int]:
        """How many more each known endpoint may have now."""
        known = self._allowed.keys() | self._taken.keys()
        return {one: max(self._allowed.get(one, 1) - self._taken[one], 0) for one in known}
