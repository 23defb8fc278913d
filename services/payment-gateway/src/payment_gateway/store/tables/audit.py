"""Who administered what. History: the program may add to it and read it, nothing else."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, String, Table
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.audit import ACTORS
from payment_gateway.store.tables.schema import NOW, Id, Time, metadata, one_of

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id),  # NULL for what concerns no merchant
    Column("actor", String, nullable=False),
    Column("actor_id", Id),  # of an API key
    Column("action", String, nullable=False),
    Column("object_id", Id, nullable=False),
    Column("details", JSONB, nullable=False),  # what changed, never a secret
    Column("request_id", String),
    Column("created_at", Time, nullable=False, server_default=NOW),
    one_of("actor", ACTORS),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    Index("audit_entry_by_merchant_idx", "merchant_id", "id"),
)
