"""Velocity windows over columns: what the online path counts one payment at a time, for whole histories at once.

Lengths and delays come from `domain/velocity.py`; here is only the arithmetic. A window at `at` covers the events of
the same entity with `at - delay - length < event <= at - delay`. Without a delay the row's own event is the newest in
it, and of other events in the same second those that came before: the order in which the online path sees them.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_SPAN = (
    1 << 34
)  # seconds; wider than any history, so that a window never reaches into the next entity's events


class EntityHistory:
    """The events of every entity in order of time. Rows must come ordered by time; values go in and come out in
    the order of rows."""

    def __init__(self, entity: Ints, at_s: Ints) -> None:
        self.order = np.argsort(entity, kind="stable")
        self._at = entity[self.order] * _SPAN + at_s[self.order]
        self._after_each = np.arange(1, len(entity) + 1)

    def count(self, length_s: int, *, delay_s: int = 0) -> Ints:
        """Events in each row's window."""
        first, end = self._bounds(length_s, delay_s)
        return self._as_given(end - first)

    def sum(self, values: Ints, length_s: int, *, delay_s: int = 0) -> Ints:
        """Sum of `values`, one whole number per row, over each row's window."""
        first, end = self._bounds(length_s, delay_s)
        totals = np.concatenate([[0], np.cumsum(values[self.order])])
        return self._as_given(totals[end] - totals[first])

    def largest(self, values: Ints, length_s: int, *, delay_s: int = 0) -> Ints:
        """Largest of `values`, whole numbers of at least 0, over each row's window; 0 where it is empty. Every window
        is covered by two runs of a power of two rows, whose largest values are made from those of half the length."""
        first, end = self._bounds(length_s, delay_s)
        size = np.maximum(end - first, 0)
        found, of_runs, run = np.zeros_like(values), values[self.order], 1
        while run <= size.max(initial=0):
            fits = np.flatnonzero((size >= run) & (size < 2 * run))
            found[fits] = np.maximum(of_runs[first[fits]], of_runs[end[fits] - run])
            of_runs = np.maximum(of_runs[:-run], of_runs[run:])
            run *= 2
        return self._as_given(found)

    def groups(self) -> list[Ints]:
        """Row numbers of each entity, in order of time."""
        entity = self._at // _SPAN
        return [own for own in np.split(self.order, np.flatnonzero(np.diff(entity)) + 1) if len(own)]

    def _bounds(self, length_s: int, delay_s: int) -> tuple[Ints, Ints]:
        first = np.searchsorted(self._at, self._at - delay_s - length_s, side="right")
        end = np.searchsorted(self._at, self._at - delay_s, side="right") if delay_s else self._after_each
        return first, end

    def _as_given(self, values: Ints) -> Ints:
        given = np.empty_like(values)
        given[self.order] = values
        return given
