"""One INSERT of many rows: a batch travels as one array per column, whatever its size.

The statement's text never changes, so it is prepared once per connection; a VALUES list would be a new
statement for every batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, Column, Table, TextClause, text
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def insert_many(table: Table, names: Sequence[str], on_conflict: str) -> TextClause:
    """`INSERT ... SELECT FROM unnest(...)` for these columns; bind it with `arrays`."""
    selected = (f"CAST(r.{name} AS json)" if _is_json(table.c[name]) else f"r.{name}" for name in names)
    # Every name comes from our own Table objects; values travel as binds.
    return text(
        f"INSERT INTO {table.fullname} ({', '.join(names)}) "  # noqa: S608
        f"SELECT {', '.join(selected)} FROM {unnested(table, names)} {on_conflict}"
    )


def unnested(table: Table, names: Sequence[str]) -> str:
    """The rows of a batch as a FROM item called `r`."""
    casts = ", ".join(f"CAST(:{name} AS {_array_type(table.c[name])}[])" for name in names)
    return f"unnest({casts}) AS r ({', '.join(names)})"


def arrays(rows: Iterable[object], names: Sequence[str]) -> dict[str, list[Any]]:
    """The rows' attributes, turned into one list per column."""
    kept = list(rows)
    return {name: [getattr(row, name) for row in kept] for name in names}


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


def _array_type(column: Column[Any]) -> str:
    """JSON travels as text: an array of json would be decoded and encoded again by the driver."""
    compiled = "text" if _is_json(column) else column.type.compile(_DIALECT)
    return compiled.partition(" COLLATE")[0].replace("VARCHAR", "text")
