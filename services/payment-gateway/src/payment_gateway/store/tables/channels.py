"""How payments were routed, and channels' reports that wait for what they are about."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata

# History: what a decision looked at, and what it came to. Replayed offline to the same choice.
routing_decision = Table(
    "routing_decision",
    metadata,
    Column("attempt_id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False),
    Column("rules_digest", String, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("route", JSONB, nullable=False),
    Column("decided_at", Time, nullable=False),
    Index("routing_decision_by_payment_idx", "payment_id"),
)

# The rules that decisions were made by, each version once.
routing_rule_set = Table(
    "routing_rule_set",
    metadata,
    Column("digest", String, primary_key=True),
    Column("rules", JSONB, nullable=False),
    Column("first_used_at", Time, nullable=False, server_default=NOW),
)

# A work list: reports about objects that we do not know yet, or cannot follow yet. What was received stays in
# channel_event; a row here goes once its report has had its effect.
parked_event = Table(
    "parked_event",
    metadata,
    Column("channel", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("body", JSONB, nullable=False),
    Column("reason", String, nullable=False),
    Column("parked_at", Time, nullable=False, server_default=NOW),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", Time, nullable=False, server_default=NOW),
    Index("parked_event_due_idx", "due_at"),
)
