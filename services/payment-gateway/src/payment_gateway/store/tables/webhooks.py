"""Where merchants want to be told, and what was sent there."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata, one_of

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False, index=True),
    Column("url", String, nullable=False),
    Column("secret", String, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint_id", Id, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("status", String, nullable=False, server_default=text("'due'")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", Time),
    Column("last_status_code", SmallInteger),
    Column("last_error", String),
    Column("delivered_at", Time),
    Column("created_at", Time, nullable=False, server_default=NOW),
    UniqueConstraint("endpoint_id", "event_id"),
    ForeignKeyConstraint(["endpoint_id"], ["payments.webhook_endpoint.id"]),
    one_of("status", ("due", "delivered", "dead")),
    Index("webhook_delivery_due_idx", "endpoint_id", "due_at", postgresql_where=text("status = 'due'")),
)

# How far the fan-out from events to deliveries has come (one row).
webhook_cursor = Table(
    "webhook_cursor",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("singleton", name="one_row"),
)
