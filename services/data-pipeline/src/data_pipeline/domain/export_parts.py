"""Where an export's rows come from: whole days that are published as they are, the rest from the live tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from data_pipeline.domain.snapshot import PartitionFile


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with their clock in [after, before): those of a file of the snapshot, or live ones."""

    after: datetime
    before: datetime
    file: PartitionFile | None = None


def parts_of(after: datetime, before: datetime, files: Iterable[PartitionFile]) -> list[Part]:
    """The range without gap or overlap, oldest first: a file for each day that lies within it whole."""
    parts, reached = [], after
    for file in sorted(files, key=lambda one: one.day):
        begins = datetime.combine(file.day, time(), UTC)
        ends = begins + timedelta(days=1)
        if begins < reached or ends > before:
            continue
        if reached < begins:
            parts.append(Part(reached, begins))
        parts.append(Part(begins, ends, file))
        reached = ends
    if reached < before:
        parts.append(Part(reached, before))
    return parts
