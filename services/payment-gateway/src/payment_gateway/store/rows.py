"""Rows in and out of the tables as one JSON parameter: a whole batch is one statement and one argument.

`jsonb_populate_recordset` gives every member its column's own type, so nothing is cast by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Table, TextClause, text

from platform_kit.writes import Writes


def insert_statement(table: Table) -> TextClause:
    """INSERT of all columns that a row carries."""
    columns = ", ".join(column.name for column in table.columns)
    return text(
        f"INSERT INTO {table.fullname} ({columns}) SELECT {columns}"  # noqa: S608 - our own names
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table.fullname}), CAST(:rows AS jsonb))"
    )


def update_statement(table: Table, columns: Iterable[str]) -> TextClause:
    """UPDATE of `columns` by primary key `id`."""
    changes = ", ".join(f"{name} = new.{name}" for name in columns)
    return text(
        f"UPDATE {table.fullname} AS old SET {changes}"  # noqa: S608 - our own names
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table.fullname}), CAST(:rows AS jsonb)) AS new"
        " WHERE old.id = new.id"
    )


def add(writes: Writes, statement: TextClause, rows: Iterable[Mapping[str, Any]]) -> None:
    """An insert or update of these rows; every row must be hit exactly once."""
    listed = list(rows)
    writes.add(statement, {"rows": orjson.dumps(listed).decode()}, rows=len(listed))
