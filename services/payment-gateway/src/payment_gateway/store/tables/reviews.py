"""What people of risk control decided about payments under review, and how far the risk engine's stream is read."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata, one_of
from platform_kit.inbox import cursor_table

consumer_cursor = cursor_table(metadata)

# One verdict about one payment. `outcome` says what came of it, once there is nothing more to do.
review_verdict = Table(
    "review_verdict",
    metadata,
    Column("case_id", Id, primary_key=True),
    Column("payment_id", Id, primary_key=True),
    Column("assessment_id", Id, nullable=False, comment="the payment may have another one since"),
    Column("verdict", String, nullable=False),
    Column("decided_at", Time, nullable=False),
    Column("due_at", Time, server_default=NOW, comment="when to act (again); null once it is finished"),
    Column("tries", Integer, nullable=False, server_default=text("0"), comment="also those that only waited"),
    Column("refusals", Integer, nullable=False, server_default=text("0"), comment="of the channel"),
    Column("outcome", String),
    Column("finished_at", Time),
    one_of("verdict", ("approve", "reject")),
    CheckConstraint(
        "(due_at IS NULL) = (outcome IS NOT NULL) AND (outcome IS NULL) = (finished_at IS NULL)",
        name="finished_has_an_outcome",
    ),
    Index("review_verdict_due_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# Events of other services that say what no program of ours understands: kept, so that the stream flows on.
quarantined_event = Table(
    "quarantined_event",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("envelope", JSONB, nullable=False),
    Column("error", String, nullable=False),
    Column("quarantined_at", Time, nullable=False, server_default=NOW),
)
