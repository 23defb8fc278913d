"""What the tables are made with. Ids compare by bytes (COLLATE "C"), which is also their order in time."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CheckConstraint, DateTime, String, text

from platform_kit.db import metadata as schema_metadata

SCHEMA = "pipeline"
metadata = schema_metadata(SCHEMA)

Text = String(collation="C")
Time = DateTime(timezone=True)
NOW = text("now()")


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A closed list of the domain, once more as a CHECK."""
    listed = ", ".join(f"'{word}'" for word in sorted(words))
    return CheckConstraint(f"{column} IN ({listed})", name=column)
