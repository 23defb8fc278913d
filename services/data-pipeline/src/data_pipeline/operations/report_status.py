"""How far we have read each stream, and how fresh what we show is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from data_pipeline.clients.event_sources import PAYMENTS, RISK, STREAMS
from data_pipeline.operations.deps import Deps
from data_pipeline.settings import CONSUMER
from data_pipeline.store import events as event_store
from data_pipeline.store import positions
from data_pipeline.store import quarantine as quarantine_store

AMBER_AFTER: Final = timedelta(seconds=10)
RED_AFTER: Final = timedelta(seconds=60)
NAMES: Final = {PAYMENTS: "payments", RISK: "risk"}


class Freshness(StrEnum):
    """How old the shown state may be."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`head` is the producer's last known end, None when never asked; `as_of` is the time that we show."""

    name: str
    position: int
    head: int | None
    as_of: datetime | None

    @property
    def lag(self) -> int | None:
        return None if self.head is None else max(0, self.head - self.position)

    def age(self, now: datetime) -> timedelta | None:
        return None if self.as_of is None else max(timedelta(), now - self.as_of)

    def freshness(self, now: datetime) -> Freshness:
        age = self.age(now)
        if age is None or age > RED_AFTER:
            return Freshness.BAD
        return Freshness.ATTENTION if age > AMBER_AFTER else Freshness.GOOD


async def read_streams(deps: Deps) -> dict[str, StreamStatus]:
    """From the consumer's notes: no call to anyone, so that a page costs nobody anything."""
    async with deps.engine.connect() as conn:
        rows = {row["stream"]: row for row in await positions.read(conn, CONSUMER)}
    return {NAMES[stream]: _status(NAMES[stream], rows.get(stream)) for stream in STREAMS}


async def report_status(deps: Deps) -> dict[str, Any]:
    """The public status: heads are asked for now, the last note stands in for a producer that is away."""
    streams = await read_streams(deps)
    report: dict[str, Any] = {}
    for stream, name in NAMES.items():
        known = streams[name]
        head = await deps.sources.head(stream)
        now_known = StreamStatus(name, known.position, known.head if head is None else head, known.as_of)
        report[name] = {
            "position": now_known.position,
            "head": now_known.head,
            "lag": now_known.lag,
            "as_of": now_known.as_of,
            "producer_answers": head is not None,
        }
    async with deps.engine.connect() as conn:
        open_count, oldest_at = await quarantine_store.open_summary(conn)
        report["events_stored"] = await event_store.count(conn)
        report["quarantine"] = {"open": open_count, "oldest_at": oldest_at}
    return report


def _status(name: str, row: dict[str, Any] | None) -> StreamStatus:
    if row is None:
        return StreamStatus(name, 0, None, None)
    is_level = row["head"] is not None and row["position"] >= row["head"]
    return StreamStatus(
        name, row["position"], row["head"], row["checked_at"] if is_level else row["event_at"]
    )
