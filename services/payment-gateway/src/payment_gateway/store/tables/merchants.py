"""Merchants and their API keys."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
)
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata

merchant = Table(
    "merchant",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("country", String(2), nullable=False),
    Column("mcc", String(4)),  # ISO 18245
    Column("api_version", String, nullable=False, server_default="2026-11-26"),
    Column("disabled_at", Time),  # its keys open nothing then; what runs goes on
    Column("created_at", Time, nullable=False, server_default=NOW),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # BLAKE2b; the key itself is shown once
    Column("name", String),
    Column(
        "hint", String
    ),  # the last characters of the key: to tell one from another, too few to guess the rest
    Column("scopes", JSONB),  # NULL = all
    Column("expires_at", Time),
    Column("revoked_at", Time),
    Column("last_used_at", Time),  # to the minute: written in batches
    Column("created_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    Index("api_key_by_merchant_idx", "merchant_id", "id"),
)
