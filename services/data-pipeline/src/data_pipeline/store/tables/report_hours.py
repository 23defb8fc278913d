"""Hours of reports that were counted, and how often the facts of an hour have changed."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Table, text

from data_pipeline.domain.report_hours import COUNTED_TABLES
from data_pipeline.store.tables.schema import NOW, Text, Time, metadata, one_of

# The row of 1970 counts how often everything changed at once: a replay, a consumer that takes over.
fact_hour = Table(
    "fact_hour",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hour_at", Time, primary_key=True),
    Column("changes", BigInteger, nullable=False, server_default=text("1")),
    one_of("name", COUNTED_TABLES),
)

# True as long as the facts of the hour have changed as often as when it was counted.
report_hour = Table(
    "report_hour",
    metadata,
    Column("shape", Text, primary_key=True),
    Column("hour_at", Time, primary_key=True),
    Column("renewals", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("rows", JSON, nullable=False),
    Column("made_at", Time, nullable=False, server_default=NOW),
)
Index("report_hour_made_idx", report_hour.c.made_at)
