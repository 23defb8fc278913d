"""Exports as values: what may be in a cell, what a file adds up to, and who may fetch it how long."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from data_pipeline.domain.report_definition import Column, Unit

PAYMENTS: Final = "payments"
"""The subject that is no report: payments, one a row."""
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class FileFormat(StrEnum):
    """How the file is written."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


class ExportState(StrEnum):
    """An export stays due until its file is there; nobody can lose it in between."""

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


MEDIA_TYPES: Final[Mapping[FileFormat, str]] = {
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}
PAYMENT_COLUMNS: Final = (
    Column("payment_id", "text", None, "the payment"),
    Column("merchant_id", "text", None, "whose it is"),
    Column("reference", "text", None, "the merchant's own name for it"),
    Column("created_at", "time", None, "when it was created, UTC"),
    Column("status", "text", None, "what has become of it"),
    Column("currency", "text", None, "ISO 4217"),
    Column("amount_minor", "integer", Unit.MINOR, "asked for"),
    Column("authorised_minor", "integer", Unit.MINOR, "approved"),
    Column("captured_minor", "integer", Unit.MINOR, "captured"),
    Column("refunded_minor", "integer", Unit.MINOR, "refunded of it"),
    Column("method", "text", None, "the method's type"),
    Column("channel", "text", None, "where it was sent"),
    Column("decline_code", "text", None, "why it was declined"),
    Column("decision", "text", None, "what risk decided"),
    Column("score", "integer", Unit.COUNT, "the risk score, 0 to 100"),
)


def stored_name(row: Mapping[str, Any]) -> str:
    """Under which name the file of a finished export is kept; before names were written down it was this one."""
    return str(row["stored_name"] or f"{row['id']}.{row['format']}")


_STORED: Final = re.compile(
    r"(?P<id>exp_[0-9a-z]{26})(?:-[0-9]+)?\.(?:csv|xlsx|parquet|manifest\.json)(?:\.writing)?"
)


def named_export(name: str) -> str | None:
    """The export of a file whose name is one that we give; None for any other file."""
    found = _STORED.fullmatch(name)
    return found["id"] if found else None


def names_of(stored: str) -> tuple[str, str]:
    """A file of an export, and its manifest beside it."""
    return stored, f"{stored.rpartition('.')[0]}.manifest.json"


@dataclass(slots=True)
class Totals:
    """Rows counted, and minor units added up by currency: what a reader checks the file against."""

    columns: tuple[Column, ...]
    row_count: int = 0
    sums: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count these rows in. A ratio is in minor units too, and is no sum."""
        names = [one.name for one in self.columns if one.unit is Unit.MINOR and one.type == "integer"]
        for row in rows:
            self.row_count += 1
            sums = self.sums[row["currency"]] if names else {}
            for name in names:
                sums[name] += row[name] or 0

    def by_currency(self) -> dict[str, dict[str, int]]:
        """Currency -> column -> sum."""
        return {currency: dict(sums) for currency, sums in sorted(self.sums.items())}


def safe_cell(text: str) -> str:
    """Text as a spreadsheet may have it: what it would take for a formula gets an apostrophe in front (OWASP, CSV
    injection). A merchant chooses `reference`; whoever opens the file is somebody else."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def signature(key: str, export_id: str, expires_at: datetime) -> str:
    """Opens the file of this export until then."""
    told = f"export:{export_id}:{int(expires_at.timestamp())}"
    return hmac.new(key.encode(), told.encode(), hashlib.sha256).hexdigest()


def is_signed(key: str, export_id: str, expires_at: datetime, given: str, now: datetime) -> bool:
    """Whether the link is ours and its time is not over. Without a key nothing is signed."""
    wanted = signature(key, export_id, expires_at)
    return bool(key) and now < expires_at and hmac.compare_digest(wanted.encode(), given.encode())
