"""Events as the archive keeps them, and where: a file a stream, UTC day of the event, and range of positions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """One event as stored; `payload` is its JSON text as received."""

    stream: str
    position: int
    event_id: str
    type: str
    aggregate_id: str
    merchant_id: str | None
    occurred_at: datetime
    received_at: datetime
    payload: str

    @property
    def day(self) -> date:
        """The UTC day in which it happened: its partition."""
        return self.occurred_at.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A line of the manifest. `path` is relative to the archive's address."""

    path: str
    stream: str
    day: date
    first_position: int
    last_position: int
    row_count: int
    byte_count: int
    sha256: str


_NAME: Final = re.compile(
    r"stream=(?P<stream>[^/]+)/event_date=[^/]+/part-\d+-(?P<last>\d+)-[0-9a-f]+\.parquet(?:\.writing)?"
)


def named_range(path: str) -> tuple[str, int] | None:
    """The stream's short name and the last position, of a path that the archive would give; None for any other file."""
    found = _NAME.fullmatch(path)
    return (found["stream"], int(found["last"])) if found else None


def partitioned(events: Iterable[ArchivedEvent]) -> dict[tuple[str, date], list[ArchivedEvent]]:
    """Events by stream and day, in the order of their positions."""
    parts: defaultdict[tuple[str, date], list[ArchivedEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.stream, event.position)):
        parts[event.stream, event.day].append(event)
    return dict(parts)


def described(events: Sequence[ArchivedEvent], content_length: int, sha256: str) -> ArchiveFile:
    """The manifest's line of a file with these events of one stream and day.

    The name holds positions and content, so the same events written again are the same file.
    """
    first, last = events[0], events[-1]
    name = f"part-{first.position:012d}-{last.position:012d}-{sha256[:12]}.parquet"
    return ArchiveFile(
        path=f"stream={first.stream.partition(':')[2]}/event_date={first.day.isoformat()}/{name}",
        stream=first.stream,
        day=first.day,
        first_position=first.position,
        last_position=last.position,
        row_count=len(events),
        byte_count=content_length,
        sha256=sha256,
    )
