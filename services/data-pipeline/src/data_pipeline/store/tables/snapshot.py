"""Which days of facts changed since the last snapshot, and what was found of the days it looked at."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Date, Identity, Index, Table, text

from data_pipeline.domain.snapshot import CLOCKS
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

# `marks` grows with every change: a snapshot takes away only what it has seen.
dirty_partition = Table(
    "dirty_partition",
    metadata,
    Column("name", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("marks", BigInteger, nullable=False, server_default=text("1")),
    one_of("name", CLOCKS),
)

quality_check = Table(
    "quality_check",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("checked_at", Time, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("failed_count", BigInteger, nullable=False),
    Column("is_blocked", Boolean, nullable=False),
    Column("failures", JSON, nullable=False),
    one_of("name", CLOCKS),
    CheckConstraint("failed_count BETWEEN 0 AND row_count", name="counts"),
)
Index("quality_check_latest_idx", quality_check.c.name, quality_check.c.day, quality_check.c.id.desc())
Index("quality_check_time_idx", quality_check.c.checked_at)
