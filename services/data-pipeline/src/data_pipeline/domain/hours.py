"""The last hour against the same hour of last week, in slots of five minutes. A slot without payments has no rate."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.figures import approval_rate, blocked_share, total
from data_pipeline.domain.rollups import Grain, bucket_start, percentile_ms

HOUR: Final = timedelta(hours=1)
SLOT: Final = timedelta(minutes=5)
WEEK: Final = timedelta(days=7)
SLOTS: Final = HOUR // SLOT

Rows = Sequence[Mapping[str, Any]]
Figure = Callable[[Rows], float | None]


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of the last hour, the same a week before, and its slots, oldest first; None where nothing was."""

    now: float | None
    week_ago: float | None
    slots: tuple[float | None, ...]

    @property
    def change(self) -> float | None:
        """By which share it grew; None when there is nothing to compare with."""
        if self.now is None or not self.week_ago:
            return None
        return self.now / self.week_ago - 1

    @property
    def difference(self) -> float | None:
        """For shares: by how much it rose, 0.01 being a percentage point."""
        return None if self.now is None or self.week_ago is None else self.now - self.week_ago


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel in the last hour."""

    name: str
    volume: Compared
    approval: Compared


def last_hour(now: datetime) -> tuple[datetime, datetime]:
    """The last sixty whole minutes: one that still runs would count against a whole one of last week."""
    end = bucket_start(now, Grain.MINUTE)
    return end - HOUR, end


def compare(now: Rows, week_ago: Rows, since: datetime, figure: Figure) -> Compared:
    """`figure` of the rows of either hour, and of each slot of the hour from `since`."""
    by_slot: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in now:
        by_slot[(row["slot"] - since) // SLOT].append(row)
    return Compared(
        figure(now), figure(week_ago), tuple(figure(by_slot.get(number, [])) for number in range(SLOTS))
    )


def volume(rows: Rows) -> float | None:
    """Payments that were created."""
    return total(rows, "payment_count") or None


def approval(rows: Rows) -> float | None:
    return approval_rate(rows)


def blocked(rows: Rows) -> float | None:
    return blocked_share(rows)


def p95_ms(rows: Rows) -> float | None:
    """Of rows with `bound_ms`: the time under which nineteen of twenty were decided, at most a quarter too high."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts[row["bound_ms"]] += row["payment_count"]
    return percentile_ms(counts, 0.95)


def by_channel(now: Rows, week_ago: Rows, since: datetime, names: Iterable[str]) -> list[Channel]:
    """Each of these channels and of those that were used, the busiest first."""
    used = {row["channel"] for row in (*now, *week_ago)} | set(names)
    channels = []
    for name in used:
        mine, then = _of(now, name), _of(week_ago, name)
        channels.append(
            Channel(name, compare(mine, then, since, volume), compare(mine, then, since, approval))
        )
    return sorted(channels, key=lambda one: (-(one.volume.now or 0), one.name))


def _of(rows: Rows, channel: str) -> Rows:
    return [row for row in rows if row["channel"] == channel]
