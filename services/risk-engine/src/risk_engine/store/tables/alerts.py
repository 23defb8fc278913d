"""Alerts, who did what to them, who was told."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from risk_engine.store.tables.schema import NOW, Id, Time, metadata

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Id, nullable=False),
    # Only the release before reads it, and keeps it unique per kind: now it is the moment of insertion.
    Column("slot_at", Time, nullable=False),
    Column("details", JSONB, nullable=False),  # {"share", "baseline", "decisions", "measures"}
    Column("raised_at", Time, nullable=False, server_default=NOW),
    Column("scope", Id, nullable=False, server_default=text("''")),  # with `kind`: the fingerprint
    Column("severity", String, nullable=False, server_default=text("'warning'")),
    # What the release before stores is told and not followed.
    Column("status", String, nullable=False, server_default=text("'resolved'")),
    Column("summary", String, nullable=False, server_default=text("''")),
    Column("level", SmallInteger, nullable=False, server_default=text("0")),  # of escalation
    Column("occurrences", BigInteger, nullable=False, server_default=text("1")),  # looks that saw it
    Column("firing_since", Time, nullable=False, server_default=NOW),
    Column("last_seen_at", Time, nullable=False, server_default=NOW),
    Column("acknowledged_at", Time),
    Column("acknowledged_by", String),
    Column("resolved_at", Time),
    Column("resolved_by", String),
    UniqueConstraint("kind", "slot_at"),
    CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
    CheckConstraint("status IN ('firing', 'acknowledged', 'resolved')", name="status"),
)
# One open alert per trouble, whatever runs twice.
Index(
    "alert_open_idx", alert.c.kind, alert.c.scope, unique=True, postgresql_where=alert.c.status != "resolved"
)
Index("alert_status_id_idx", alert.c.status, alert.c.id)

# Who did what to an alert, the engine among them. It outlives the alert: no foreign key.
alert_act = Table(
    "alert_act",
    metadata,
    Column("id", Id, primary_key=True),
    Column("alert_id", Id, nullable=False),
    Column("act", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("note", String),
    Column("level", SmallInteger, nullable=False),
    Column("at", Time, nullable=False),
    CheckConstraint("act IN ('raised', 'reopened', 'escalated', 'acknowledged', 'resolved')", name="act"),
)
Index("alert_act_alert_id_idx", alert_act.c.alert_id, alert_act.c.id)

# What a channel is to be told, whole: every attempt sends the same.
alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("act_id", Id, nullable=False),  # its own id for a trial of the channel
    Column("alert_id", Id),
    Column("channel", Id, nullable=False),
    Column("message", JSONB, nullable=False),
    Column("status", String, nullable=False, server_default=text("'due'")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", Time, nullable=False, server_default=NOW),
    Column("last_error", String),  # a word of ours, never the receiver's or an address
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("settled_at", Time),
    UniqueConstraint("act_id", "channel"),
    CheckConstraint("status IN ('due', 'delivered', 'given_up')", name="status"),
)
Index(
    "alert_delivery_due_idx",
    alert_delivery.c.channel,
    alert_delivery.c.due_at,
    postgresql_where=alert_delivery.c.status == "due",
)
Index("alert_delivery_alert_id_idx", alert_delivery.c.alert_id)
