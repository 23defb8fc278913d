"""Merchants and their API keys."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Table,
)

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata

merchant = Table(
    "merchant",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("country", String(2), nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # BLAKE2b; the key itself is shown once
    Column("revoked_at", Time),
    Column("created_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
)
