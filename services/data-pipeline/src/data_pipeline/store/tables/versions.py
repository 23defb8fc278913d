"""Which version each service answered as, from when on."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from data_pipeline.store.tables.schema import Text, Time, metadata

service_version = Table(
    "service_version",
    metadata,
    Column("service", Text, primary_key=True),
    Column("seen_at", Time, primary_key=True),
    Column("version", String, nullable=False),
)
