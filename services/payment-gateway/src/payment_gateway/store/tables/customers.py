"""Customers and their saved payment methods. A card is named by the vault's token; no column can hold its number."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.store.tables.schema import Id, Time, metadata, one_of

UNSEALED_CUSTOMER = (
    "deleted_at IS NULL AND (personal IS NULL OR name IS NOT NULL OR email IS NOT NULL"
    " OR description IS NOT NULL OR metadata <> '{}'::jsonb)"
)
UNSEALED_BILLING = "billing_details <> '{}'::jsonb AND (billing_details ->> 'subject') IS NULL"

customer = Table(
    "customer",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("name", String),
    Column("email", String),
    Column("description", String),
    Column("metadata", JSONB, nullable=False),
    Column("personal", JSONB),
    Column("email_hash", String(collation="C")),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    Index("customer_by_merchant_idx", "merchant_id", "id"),
    Index("customer_by_email_idx", "email_hash", postgresql_where=text("email_hash IS NOT NULL")),
    # The work list of who seals what an older version kept in clear.
    Index("customer_unsealed_idx", "id", postgresql_where=text(UNSEALED_CUSTOMER)),
)

payment_method = Table(
    "payment_method",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("type", String, nullable=False),
    Column("method", JSONB, nullable=False),
    Column("card", JSONB),
    Column("customer_id", Id),
    Column("billing_details", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("detached_at", Time),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    ForeignKeyConstraint(["customer_id"], ["payments.customer.id"]),
    one_of("type", ("card", "wallet", "bank_transfer")),
    CheckConstraint("(type = 'card') = (card IS NOT NULL)", name="card_is_shown"),
    CheckConstraint("detached_at IS NULL OR customer_id IS NULL", name="detached_has_no_customer"),
    Index("payment_method_by_merchant_idx", "merchant_id", "id"),
    Index(
        "payment_method_by_customer_idx",
        "customer_id",
        "id",
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
    Index("payment_method_unsealed_idx", "id", postgresql_where=text(UNSEALED_BILLING)),
)
