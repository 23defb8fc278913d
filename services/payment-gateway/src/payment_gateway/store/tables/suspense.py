"""What channels' files have and nobody can explain yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, String, Table, text

from payment_gateway.domain.suspense import Direction, Target
from payment_gateway.store.tables.schema import Id, Time, metadata, one_of

suspense = Table(
    "suspense",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String, nullable=False),
    Column("reference", String, nullable=False),
    Column("direction", String, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("note", String, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("resolved_at", Time),
    Column("resolved_to", String),
    Column("resolved_merchant", Id),
    Column("resolution", String),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("(resolved_at IS NULL) = (resolved_to IS NULL)", name="resolved_to_somebody"),
    CheckConstraint(
        "(resolved_to IS NOT DISTINCT FROM 'merchant') = (resolved_merchant IS NOT NULL)",
        name="merchant_where_it_is_one",
    ),
    one_of("direction", tuple(Direction)),
    one_of("resolved_to", tuple(Target)),
    ForeignKeyConstraint(["resolved_merchant"], ["payments.merchant.id"]),
    Index("suspense_open_idx", "id", postgresql_where=text("resolved_at IS NULL")),
)
