"""What the tables are made with. Ids compare by bytes (COLLATE "C"), which is also their order in time."""

from enum import StrEnum

from sqlalchemy import DateTime, String, text

from platform_kit.db import metadata as schema_metadata

SCHEMA = "risk"
metadata = schema_metadata(SCHEMA)
Id = String(collation="C")  # ASCII, compared by bytes: for ids that is also their order in time
Time = DateTime(timezone=True)
NOW = text("now()")


def words(of: type[StrEnum]) -> str:
    """The members of an enum, as a list in SQL."""
    return ", ".join(f"'{word}'" for word in of)
