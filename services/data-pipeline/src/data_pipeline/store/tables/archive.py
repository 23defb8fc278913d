"""The manifest of the archive's files, and how far each stream is archived."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Table

from data_pipeline.store.tables.schema import NOW, Text, Time, metadata

archive_cursor = Table(
    "archive_cursor",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("updated_at", Time, nullable=False, server_default=NOW),
)

# A file that compaction has replaced stays for a while, for whoever is reading it; then file and row go.
archive_file = Table(
    "archive_file",
    metadata,
    Column("path", Text, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("archived_at", Time, nullable=False, server_default=NOW),
    Column("replaced_at", Time),
    CheckConstraint("row_count > 0 AND first_position <= last_position", name="rows"),
)
Index("archive_file_partition_idx", archive_file.c.stream, archive_file.c.day, archive_file.c.first_position)
