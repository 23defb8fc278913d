"""Tables written to a file slice by slice, in bounded memory: CSV, XLSX, Parquet. Writers are imported when used."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from data_pipeline.domain.exports import FileFormat, safe_cell
from data_pipeline.domain.report_definition import Column

SHEET_ROWS_MAX: Final = 1_048_575  # a sheet's rows, less the header
EXACT_MAX: Final = (
    10**15
)  # a sheet's numbers are floating point: larger ones go in as text, to the last digit

Rows = Sequence[Mapping[str, Any]]


class TooManyRows(ValueError):
    """A sheet ends at 1,048,576 rows; CSV and Parquet do not."""


class TableFile(Protocol):
    """A file being written."""

    def append(self, rows: Rows) -> None: ...

    def close(self) -> None: ...


def open_table_file(format_: FileFormat, path: Path, columns: Sequence[Column]) -> TableFile:
    """A new file at `path` with these columns, and no row yet."""
    match format_:
        case FileFormat.CSV:
            return _Csv(path, columns)
        case FileFormat.XLSX:
            return _Xlsx(path, columns)
        case FileFormat.PARQUET:
            return _Parquet(path, columns)


def as_text(value: Any) -> str:
    """A cell of a CSV file: times in ISO 8601 UTC, nothing for None, formulas disarmed."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return safe_cell(value) if isinstance(value, str) else str(value)


class _Csv:
    """UTF-8, `\\n`, a header: the same rows give the same bytes."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._names)

    def append(self, rows: Rows) -> None:
        self._writer.writerows([as_text(row[name]) for name in self._names] for row in rows)

    def close(self) -> None:
        self._file.close()


class _Xlsx:
    """One sheet; rows go to a temporary file as they come."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import xlsxwriter

        self._names, self._at = [column.name for column in columns], 1
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False})
        self._book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        self._sheet = self._book.add_worksheet("export")
        bold = self._book.add_format({"bold": True})
        for place, name in enumerate(self._names):
            self._sheet.write_string(0, place, name, bold)
        self._sheet.freeze_panes(1, 0)
        self._formats: dict[int, Any] = {}

    def append(self, rows: Rows) -> None:
        if self._at + len(rows) > SHEET_ROWS_MAX + 1:
            raise TooManyRows(f"A sheet has at most {SHEET_ROWS_MAX:,} rows: export as csv or parquet.")
        for row in rows:
            for place, name in enumerate(self._names):
                self._write(place, row[name])
            self._at += 1

    def _write(self, place: int, value: Any) -> None:
        if isinstance(value, Decimal) and abs(value.scaleb(places := _places(value))) < EXACT_MAX:
            self._sheet.write_number(self._at, place, float(value), self._format(places))
            return
        if isinstance(value, float) or (isinstance(value, int) and abs(value) < EXACT_MAX):
            self._sheet.write_number(self._at, place, value)
        elif value is not None:
            self._sheet.write_string(self._at, place, as_text(value))

    def _format(self, places: int) -> Any:
        """A number with so many decimals, which a currency has."""
        if places not in self._formats:
            shown = "#,##0" + (f".{'0' * places}" if places else "")
            self._formats[places] = self._book.add_format({"num_format": shown})
        return self._formats[places]

    def close(self) -> None:
        self._book.close()


def _places(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


class _Parquet:
    """zstd, a row group a slice; each column has its unit and meaning in its metadata."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            "text": pa.string(),
            "time": pa.timestamp("us", tz="UTC"),
            "integer": pa.int64(),
            "number": pa.float64(),
        }
        self._times = [column.name for column in columns if column.type == "time"]
        self._schema = pa.schema(
            pa.field(one.name, types[one.type], metadata={"unit": one.unit or "", "meaning": one.meaning})
            for one in columns
        )
        self._table = pa.Table
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def append(self, rows: Rows) -> None:
        plain = [dict(row) | {name: _time(row[name]) for name in self._times} for row in rows]
        if plain:
            self._writer.write_table(self._table.from_pylist(plain, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _time(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
