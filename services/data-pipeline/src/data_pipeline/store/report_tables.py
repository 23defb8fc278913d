"""What report expressions read: the warehouse's tables, with every time also as an integer (`created_us`).

Microseconds since 1970 UTC are the same number everywhere; what differs between engines is only how a time becomes
one, and that is given by whoever binds the tables (Postgres here, DuckDB and Spark in `clients/history.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.expr import types as ir
from sqlalchemy import Boolean, Date, DateTime, Integer, Table

from data_pipeline.domain.questions import micros_of
from data_pipeline.store.snapshot import UNREAD
from data_pipeline.store.tables import (
    SCHEMA,
    fact_assessment,
    fact_case,
    fact_payment,
    fact_transfer,
    fact_webhook_attempt,
    reconciliation_break,
)

READ: Final = {
    table.name: table
    for table in (
        fact_payment, fact_transfer, fact_assessment, fact_webhook_attempt, fact_case, reconciliation_break,
    )
}  # fmt: skip
"""The tables that reports read, by name. A snapshot holds them, refunds, and merchants by version."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one engine: how to get one by its name, how a time there becomes microseconds, and what a time is
    compared with there. An engine may give times as microseconds at once, as history does."""

    table: Callable[[str], ir.Table]
    micros: Callable[[Any], Any]
    moment: Callable[[datetime], Any]

    def all(self, name: str) -> ir.Table:
        """Every row."""
        return self._with_micros(self.table(name))

    def during(self, name: str, clock: str, after: datetime, before: datetime | None = None) -> ir.Table:
        """Rows with `clock` in [after, before): a comparison of times, which an index can answer."""
        table = self.table(name)
        within = table.filter(table[clock] >= self.moment(after))
        return self._with_micros(
            within if before is None else within.filter(within[clock] < self.moment(before))
        )

    def _with_micros(self, table: ir.Table) -> ir.Table:
        times = [column for column in table.columns if column.endswith("_at")]
        return table.mutate(**{micros_name(column): self.micros(table[column]) for column in times})


def history_tables(table: Callable[[str], ir.Table]) -> Tables:
    """Tables whose times are microseconds already."""
    return Tables(table, lambda at: at, micros_of)


def micros_name(column: str) -> str:
    """`created_at` -> `created_us`."""
    return f"{column.removesuffix('_at')}_us"


def schema_of(table: Table) -> ibis.Schema:
    """A table's columns as Ibis knows types; JSON and bytes are left out, no report reads them."""
    return ibis.schema(
        {column.name: _type(column.type) for column in table.columns if not isinstance(column.type, UNREAD)}
    )


def postgres_tables() -> Tables:
    """The live tables, unbound: nothing is connected, expressions over them are made into SQL."""
    return Tables(
        lambda name: ibis.table(schema_of(READ[name]), name=name, database=SCHEMA), _micros, _moment
    )


def postgres_sql(expression: ir.Table) -> str:
    """The expression as one statement for Postgres, its literals quoted by the compiler."""
    return str(PostgresCompiler().to_sqlglot(expression).sql("postgres"))


def _type(given: object) -> str:
    if isinstance(given, DateTime):
        return "timestamp('UTC')"
    if isinstance(given, Date):
        return "date"
    if isinstance(given, Boolean):
        return "boolean"
    return "int64" if isinstance(given, Integer) else "string"


def _micros(at: Any) -> Any:
    return at.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + at.microsecond().cast("int64")


def _moment(at: datetime) -> Any:
    return ibis.literal(at, type="timestamp('UTC')")
