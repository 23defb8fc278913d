"""Where merchants want to be told, and what was sent there."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

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
    Column("event_types", ARRAY(String), comment="null = all; `payment.*` = all that begin so"),
    Column("description", String),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("style", String, nullable=False, server_default=text("'native'")),
    Column("private_key", String, comment="ed25519 seed of v1a; null for an endpoint older than that"),
    Column(
        "retiring",
        JSONB,
        nullable=False,
        server_default=text("'[]'"),
        comment="replaced keys that still sign",
    ),
    Column("failing_since", Time, comment="the first failure of an unbroken row of them"),
    Column("last_failed_at", Time),
    Column("disabled_at", Time),
    Column("disabled_reason", String),
    Column(
        "event_names", ARRAY(String), comment="what of event_types, in the words of its style; null = all"
    ),
    Column("deleted_at", Time, comment="kept for its deliveries' sake; shown to nobody"),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    one_of("style", ("native", "stripe")),
    CheckConstraint("deleted_at IS NULL OR NOT enabled", name="deleted_is_disabled"),
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
    Column(
        "cycle", Integer, nullable=False, server_default=text("1"), comment="1, and one more for each replay"
    ),
    # `event_id` is the webhook-id: the event's id, and an aspect behind it where the event is told in several ways.
    UniqueConstraint("endpoint_id", "event_id"),
    ForeignKeyConstraint(["endpoint_id"], ["payments.webhook_endpoint.id"]),
    one_of("status", ("due", "delivered", "dead")),
    Index("webhook_delivery_due_idx", "endpoint_id", "due_at", postgresql_where=text("status = 'due'")),
    Index("webhook_delivery_by_endpoint_idx", "endpoint_id", "id"),
    Index("webhook_delivery_by_event_idx", "event_id", "id"),
)

# What was tried, and what came of it: history.
webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("delivery_id", Id, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("number", SmallInteger, nullable=False, comment="within its cycle, from 1"),
    Column("status_code", SmallInteger),
    Column("error", String),
    Column("duration_ms", Integer, nullable=False),
    Column("ended_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["delivery_id"], ["payments.webhook_delivery.id"]),
    Index("webhook_attempt_by_delivery_idx", "delivery_id", "id"),
)

# How far the fan-out from events to deliveries has come (one row).
webhook_cursor = Table(
    "webhook_cursor",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("singleton", name="one_row"),
)
