"""The rolling reserve: what each settlement kept back, and until when."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, String, Table, text

from payment_gateway.store.tables.schema import Id, Time, metadata

reserve = Table(
    "reserve",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("release_at", Time, nullable=False),
    Column("released_at", Time),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("released_at >= release_at", name="released_when_due"),
    Index("reserve_by_merchant_idx", "merchant_id", "id"),
    Index("reserve_due_idx", "release_at", postgresql_where=text("released_at IS NULL")),
)
