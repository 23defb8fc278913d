"""Bronze: events as received, how far each stream was read, and what could have no effect."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from data_pipeline.store.tables.schema import NOW, Text, Time, metadata, one_of
from platform_kit.inbox import cursor_table
from platform_kit.tasks import job_run_table

cursor = cursor_table(metadata)  # (consumer, stream) -> last contiguous position, moved with the effects
job_run = job_run_table(metadata)  # (job, slot) of every scheduled tick

# What the streams' owners said last about their own end: freshness is "equal to the head, as of checked_at".
stream_head = Table(
    "stream_head",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("head", BigInteger, nullable=False),
    Column("checked_at", Time, nullable=False),
)

# Bronze. Append-only by grant; it is also the inbox: an event that is here has had its effects. `json`, not
# `jsonb`: nothing searches inside, and the text stays as it came.
stored_event = Table(
    "stored_event",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    Column("merchant_id", Text),
    Column("occurred_at", Time, nullable=False),
    Column("received_at", Time, nullable=False, server_default=NOW),
    Column("payload", JSON, nullable=False),
    UniqueConstraint("stream", "event_id"),
    CheckConstraint("position > 0", name="position"),
)
Index(None, stored_event.c.aggregate_id, stored_event.c.position)
# What came long after it happened may be too late for its settlement. Few events are in here.
Index(
    "stored_event_late_idx",
    stored_event.c.merchant_id,
    stored_event.c.received_at,
    postgresql_where=text("received_at - occurred_at > '00:00:30'::interval"),
)

# How many events of each stream are stored: moved with every batch, because counting millions of rows for a
# status page is a bug.
event_count = Table(
    "event_count",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("stored", BigInteger, nullable=False),
    # Moved beside it by each release that keeps hours of payments and months of accounts: those stored before it fall
    # short by what they stored. A release that keeps another roll-up counts in a column of its own (ADR 176).
    Column("rolled_up", BigInteger, nullable=False, server_default=text("0")),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("stream", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Text),
    Column("type", Text),
    Column("payload", String, nullable=False),
    Column("fault", Text, nullable=False),
    Column("detail", String, nullable=False),
    Column("attempt_count", Integer, nullable=False, server_default=text("1")),
    Column("first_seen_at", Time, nullable=False, server_default=NOW),
    Column("last_seen_at", Time, nullable=False, server_default=NOW),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("outcome", Text),  # of the last replay: applied, already_applied, refused
    Column("resolved_at", Time),
    Column("resolved_by", Text),
    Column("reason", String),
    Column("is_archived", Boolean, nullable=False, server_default=text("false")),  # once replayed
    UniqueConstraint("stream", "position"),
    one_of("state", ("open", "replayed", "discarded")),
    CheckConstraint(
        "(state = 'open') = (resolved_at IS NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)"
        " AND (state <> 'discarded' OR reason IS NOT NULL)",
        name="resolution",
    ),
)
Index("quarantine_state_idx", quarantine.c.state, quarantine.c.id)
Index(
    "quarantine_open_idx",
    quarantine.c.first_seen_at,
    postgresql_where=quarantine.c.state == text("'open'"),
)
