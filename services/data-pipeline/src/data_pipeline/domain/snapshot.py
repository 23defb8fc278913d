"""A snapshot of the facts: Parquet by UTC day of each fact's own clock, and one manifest that says which files count.

A partition is a fact table's day. Whoever stores a fact marks its day dirty in the same transaction; the snapshot
writes dirty days anew and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from data_pipeline.domain.facts import Facts

CLOCKS: Final[Mapping[str, str]] = {
    "fact_payment": "created_at",
    "fact_refund": "created_at",
    "fact_transfer": "occurred_at",
    "fact_assessment": "occurred_at",
    "merchant_version": "told_at",
    "fact_webhook_attempt": "ended_at",
    "fact_case": "opened_at",
    "reconciliation_break": "opened_at",
}
"""What a snapshot holds, and the time of each row that decides its partition. It never changes, so no row moves."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "fact_payment": ("payment_id",),
    "fact_refund": ("refund_id",),
    "fact_transfer": ("journal_id", "line"),
    "fact_assessment": ("assessment_id",),
    "merchant_version": ("merchant_id", "position"),
    "fact_webhook_attempt": ("told_by", "line"),
    "fact_case": ("case_id",),
    "reconciliation_break": ("id",),
}
"""What names a row: unique in a partition, and all that a sample tells besides the value at fault."""

BREAKS: Final = "reconciliation_break"
"""Changed by people and by every run, and few: its dirty days are found by a digest instead of by marks."""

MANIFEST: Final = "manifest.json"
_FILE: Final = re.compile(
    r"(?P<table>[a-z_]+)/(?:event_date=\d{4}-\d\d-\d\d/part|schema)-[0-9a-f]{16}\.parquet(?:\.writing)?"
)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The facts of one table and UTC day."""

    table: str
    day: date


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """A line of the manifest. `path` is relative to it; `digest` is that of the rows, where days are found by it.

    `positions` are set while the partition is blocked or waits: the file is the last good one, true as of then.
    """

    day: date
    path: str
    row_count: int
    byte_count: int
    sha256: str
    digest: str | None = None
    positions: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a reader needs, in one file that is replaced whole: before it is, the old snapshot stands."""

    version: int
    made_at: datetime
    as_of: Mapping[str, Mapping[str, Any]]
    """Stream -> position and time of the last event that counts."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Table -> a file without rows: what its columns are, should it have no partition."""
    partitions: Mapping[str, tuple[PartitionFile, ...]] = field(default_factory=dict)
    blocked: tuple[Partition, ...] = ()
    """Days that broke a rule of severity `block`: their last good file stands, or none."""
    waiting: tuple[Partition, ...] = ()
    """Days that changed and were not reached in time: as blocked ones until the next run."""

    def files(self, table: str) -> list[str]:
        """What to read for a table, its empty file first."""
        return [self.schemas[table], *(one.path for one in self.partitions.get(table, ()))]

    def paths(self) -> set[str]:
        """Every file that counts."""
        return {path for table in self.schemas for path in self.files(table)}

    def find(self, partition: Partition) -> PartitionFile | None:
        found = (one for one in self.partitions.get(partition.table, ()) if one.day == partition.day)
        return next(found, None)

    def as_document(self) -> dict[str, Any]:
        """What the manifest's file says, in the order in which a person reads it."""
        return {
            "version": self.version,
            "made_at": self.made_at,
            "as_of": self.as_of,
            "blocked": told(self.blocked),
            "waiting": told(self.waiting),
            "tables": {
                table: {
                    "clock": CLOCKS[table],
                    "schema": self.schemas[table],
                    "partitions": [asdict(one) for one in self.partitions.get(table, ())],
                }
                for table in self.schemas
            },
        }


def read_manifest(document: Mapping[str, Any]) -> Manifest:
    """The manifest that `as_document` wrote. Raises KeyError, ValueError or TypeError for anything else."""
    tables = document["tables"]
    return Manifest(
        version=int(document["version"]),
        made_at=datetime.fromisoformat(document["made_at"]),
        as_of={
            name: {**one, "event_at": _moment(one["event_at"])} for name, one in document["as_of"].items()
        },
        schemas={table: told["schema"] for table, told in tables.items()},
        partitions={
            table: tuple(
                PartitionFile(**one | {"day": date.fromisoformat(one["day"])}) for one in told["partitions"]
            )
            for table, told in tables.items()
        },
        blocked=_partitions(document["blocked"]),
        waiting=_partitions(document["waiting"]),
    )


def told(partitions: Iterable[Partition]) -> list[dict[str, Any]]:
    """Partitions as documents name them."""
    return [{"table": one.table, "day": one.day} for one in partitions]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _partitions(told: Iterable[Mapping[str, str]]) -> tuple[Partition, ...]:
    return tuple(Partition(one["table"], date.fromisoformat(one["day"])) for one in told)


def dirty_partitions(facts: Iterable[Facts]) -> list[Partition]:
    """The days that these facts belong to, each once, in one order: marks are locked like that by everybody. Days of
    merchants' versions are marked by `store/merchants.py`: a new one changes the one before it, too."""
    found: set[Partition] = set()
    for fact in facts:
        if fact.payment:
            found.add(Partition("fact_payment", _day(fact.payment.created_at)))
        if fact.refund:
            found.add(Partition("fact_refund", _day(fact.refund.created_at)))
        if fact.assessment:
            found.add(Partition("fact_assessment", _day(fact.assessment.occurred_at)))
        if fact.case:
            found.add(Partition("fact_case", _day(fact.case.opened_at)))
        found.update(Partition("fact_webhook_attempt", _day(one.ended_at)) for one in fact.attempts)
        found.update(Partition("fact_transfer", _day(one.occurred_at)) for one in fact.transfers)
    return sorted(found)


def file_name(partition: Partition | str, sha256: str) -> str:
    """Where a partition's file lies, or, of a table's name, the empty one: its content is in its name."""
    if isinstance(partition, str):
        return f"{partition}/schema-{sha256[:16]}.parquet"
    return f"{partition.table}/event_date={partition.day.isoformat()}/part-{sha256[:16]}.parquet"


def is_file(path: str) -> bool:
    """Whether a snapshot would give this name: nothing else is ever deleted."""
    found = _FILE.fullmatch(path)
    return found is not None and found["table"] in CLOCKS


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
