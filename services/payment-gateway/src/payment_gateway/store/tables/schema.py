"""What every table of the schema `payments` shares: its metadata and the types of its columns."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, DateTime, String, text

from platform_kit.db import metadata as schema_metadata

SCHEMA = "payments"
metadata = schema_metadata(SCHEMA)

Id = String(collation="C")  # ids are ASCII and compared by bytes, which is also their order in time
Time = DateTime(timezone=True)
NOW = text("now()")


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """`column` holds one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
