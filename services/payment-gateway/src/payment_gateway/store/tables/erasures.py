"""Requests to erase somebody's personal data."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.erasure import ErasureStatus
from payment_gateway.store.tables.schema import Id, Time, metadata, one_of

erasure = Table(
    "erasure",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("status", String, nullable=False),
    Column("subjects", JSONB, nullable=False),
    Column("blocked_by", JSONB, nullable=False),
    Column("sought", JSONB, comment="what a scan seeks, under a key that dies with the report"),
    Column("report", JSONB),
    Column("created_at", Time, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("erased_at", Time),
    Column("reported_at", Time),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    one_of("status", tuple(ErasureStatus)),
    CheckConstraint("(status = 'erased') = (erased_at IS NOT NULL)", name="erased_has_a_time"),
    CheckConstraint(
        "(report IS NULL) = (reported_at IS NULL) AND (report IS NULL OR erased_at IS NOT NULL)",
        name="reported_once_erased",
    ),
    Index("erasure_by_merchant_idx", "merchant_id", "id"),
    Index("erasure_due_idx", "due_at", postgresql_where=text("status <> 'erased'")),
)
