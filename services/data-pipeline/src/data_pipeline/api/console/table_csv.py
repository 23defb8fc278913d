"""A table as CSV that a spreadsheet opens and does not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from data_pipeline.api.console.render import SECURITY_HEADERS
from data_pipeline.domain.exports import safe_cell
from platform_kit.money import plain_minor


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Header and rows, lines ending in CR LF (RFC 4180)."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return written.getvalue()


def as_download(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """The same as a file that the browser keeps as `name`.csv."""
    headers = SECURITY_HEADERS | {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(csv_of(columns, rows), headers=headers, media_type="text/csv; charset=utf-8")


def amount(amount_minor: int | None, currency: str | None) -> Decimal | None:
    """A number with the decimals of its currency: as text, a negative one would be kept from running like a formula,
    and no spreadsheet would add it up."""
    return None if amount_minor is None or currency is None else Decimal(plain_minor(amount_minor, currency))


def _cell(value: Any) -> Any:
    return safe_cell(value) if isinstance(value, str) else value
