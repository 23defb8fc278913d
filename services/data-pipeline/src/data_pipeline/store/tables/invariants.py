"""What was found of each invariant, a row a check."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Identity, Index, Table

from data_pipeline.domain.invariants import Severity
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

invariant_check = Table(
    "invariant_check",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("checked_at", Time, nullable=False),
    Column("position", BigInteger),
    Column("is_kept", Boolean),  # NULL: could not be judged, for the reason in `figures`
    Column("figures", JSON, nullable=False),
    one_of("severity", Severity),
)
Index("invariant_check_latest_idx", invariant_check.c.name, invariant_check.c.id)
