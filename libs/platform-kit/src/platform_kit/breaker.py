"""A circuit breaker: stop calling what does not answer, and ask again with one call at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from platform_kit import telemetry

WINDOW = 20  # outcomes looked at
CALLS_MIN = 5  # fewer say nothing
FAILURE_RATIO = 0.5
OPEN_S = 5.0  # long enough for a restart, short enough that an outage ends soon after its cause


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


_GAUGE = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. Its outcome must be told to `Breaker.record`."""

    generation: int
    is_probe: bool


class Breaker:
    """Closed: calls pass and are counted. Open: none passes for `open_s`. Half-open: one probe decides.

    An outcome that arrives after the state has moved on is ignored: a slow success from before the
    outage must not close the breaker, nor a slow failure reopen it.
    """

    def __init__(
        self,
        name: str,
        *,
        window: int = WINDOW,
        calls_min: int = CALLS_MIN,
        failure_ratio: float = FAILURE_RATIO,
        open_s: float = OPEN_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._calls_min = calls_min
        self._failure_ratio = failure_ratio
        self._open_s = open_s
        self._now = now
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._generation = 0
        self._opened_at_s = 0.0
        self._probing = False
        self._state = State.CLOSED
        self._move(State.CLOSED)

    @property
    def state(self) -> State:
        """As it would be for the next caller."""
        if self._state is State.OPEN and self._now() >= self._opened_at_s + self._open_s:
            self._move(State.HALF_OPEN)
        return self._state

    @property
    def would_permit(self) -> bool:
        """Whether `acquire` would give a permit now: not while open, nor while a probe is under way."""
        state = self.state
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._probing)

    def acquire(self) -> Permit | None:
        """A permit, or None when no call may be made now."""
        state = self.state
        if state is State.CLOSED:
            return Permit(self._generation, is_probe=False)
        if state is State.OPEN or self._probing:
            return None
        self._probing = True
        return Permit(self._generation, is_probe=True)

    def record(self, permit: Permit, *, ok: bool | None) -> None:
        """The outcome of a permitted call; None = the caller went away, which says nothing of the other
        side.
        """
        if permit.generation != self._generation:
            return
        if permit.is_probe:
            self._probing = False
            if ok is not None:
                self._move(State.CLOSED if ok else State.OPEN)
        elif ok is not None:
            self._outcomes.append(ok)
            if self._is_failing():
                self._move(State.OPEN)

    def _is_failing(self) -> bool:
        failures = self._outcomes.count(False)
        return len(self._outcomes) >= self._calls_min and failures >= self._failure_ratio * len(
            self._outcomes
        )

    def _move(self, state: State) -> None:
        self._state = state
        self._generation += 1
        self._probing = False
        self._outcomes.clear()
        if state is State.OPEN:
            self._opened_at_s = self._now()
        telemetry.breaker_state.labels(self.name).set(_GAUGE[state])
