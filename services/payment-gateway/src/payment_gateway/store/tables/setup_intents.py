"""Setup intents."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, String, Table
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.setup_intent import SetupStatus
from payment_gateway.store.tables.schema import Id, Time, metadata, one_of

setup_intent = Table(
    "setup_intent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("status", String, nullable=False),
    Column("customer_id", Id),
    Column("payment_method_id", Id),
    Column("decline_code", String),
    Column("description", String),
    Column("usage", String, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    one_of("status", tuple(SetupStatus)),
    Index("setup_intent_by_merchant_idx", "merchant_id", "id"),
)
