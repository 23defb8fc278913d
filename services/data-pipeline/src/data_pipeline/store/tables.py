"""The schema `pipeline`: bronze (events as received), facts, roll-ups, reconciliation, quarantine.

Every closed list of the domain stands here once more as a CHECK. Ids compare by bytes (COLLATE "C"), which
is also their order in time.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

from data_pipeline.domain.facts import DECISIONS, REFUND_STATUSES, STATUSES, TRANSFER_KINDS
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.domain.rollups import Grain
from platform_kit.db import metadata as schema_metadata
from platform_kit.inbox import cursor_table
from platform_kit.tasks import job_run_table

SCHEMA = "pipeline"
metadata = schema_metadata(SCHEMA)

Text = String(collation="C")
Time = DateTime(timezone=True)
NOW = text("now()")


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in sorted(words))
    return CheckConstraint(f"{column} IN ({listed})", name=column)


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

# How many events of each stream are stored: moved with every batch, because counting millions of rows for a
# status page is a bug.
event_count = Table(
    "event_count",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("stored", BigInteger, nullable=False),
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
    UniqueConstraint("stream", "position"),
    _one_of("state", ("open", "replayed", "discarded")),
)
Index(
    "quarantine_open_idx",
    quarantine.c.first_seen_at,
    postgresql_where=quarantine.c.state == text("'open'"),
)

fact_payment = Table(
    "fact_payment",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("authorised_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("channel", Text),
    Column("reference", Text),
    Column("decline_code", Text),
    Column("decision", Text),
    Column("score", SmallInteger),
    Column("is_fallback", Boolean),
    Column("assessment_id", Text),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("approved_at", Time),
    Column("decided_at", Time),
    Column("position", BigInteger, nullable=False),
    _one_of("status", STATUSES),
    CheckConstraint(
        "decision IS NULL OR decision IN (" + ", ".join(f"'{word}'" for word in sorted(DECISIONS)) + ")",
        name="decision",
    ),
    CheckConstraint(
        "amount_minor >= 0 AND authorised_minor >= 0 AND captured_minor >= 0 AND refunded_minor >= 0",
        name="amounts",
    ),
)
Index("fact_payment_latest_idx", fact_payment.c.created_at.desc(), fact_payment.c.payment_id.desc())
Index("fact_payment_reference_idx", fact_payment.c.reference)
Index("fact_payment_unknown_idx", fact_payment.c.created_at, postgresql_where=text("status = 'unknown'"))

fact_refund = Table(
    "fact_refund",
    metadata,
    Column("refund_id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False, index=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", String),
    Column("created_at", Time, nullable=False),
    Column("position", BigInteger, nullable=False),
    _one_of("status", REFUND_STATUSES),
)

# Double entry: a row moves one positive amount from debit to credit, so imbalance cannot be written down.
fact_transfer = Table(
    "fact_transfer",
    metadata,
    Column("journal_id", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("occurred_at", Time, nullable=False),
    Column("aggregate_id", Text, nullable=False, index=True),
    Column("merchant_id", Text),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("settled_channel", Text),
    Column("settled_type", Text),
    Column("channel_reference", Text),
    Column("channel_key", Text),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
    CheckConstraint("debit <> credit", name="accounts"),
    _one_of("kind", TRANSFER_KINDS),
)
Index(
    "fact_transfer_settled_idx",
    fact_transfer.c.settled_channel,
    fact_transfer.c.occurred_at,
    postgresql_where=fact_transfer.c.settled_channel.is_not(None),
)

fact_assessment = Table(
    "fact_assessment",
    metadata,
    Column("assessment_id", Text, primary_key=True),
    Column("merchant_id", Text),
    Column("payment_id", Text, index=True),
    Column("decision", Text, nullable=False),
    Column("score", SmallInteger, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("rule_set", Text),
    Column("model", Text),
    Column("degraded", JSON, nullable=False),
    Column("occurred_at", Time, nullable=False),
    Column("position", BigInteger, nullable=False),
    _one_of("decision", DECISIONS),
)

rollup = Table(
    "rollup",
    metadata,
    Column("grain", Text, primary_key=True),
    Column("bucket_at", Time, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("decision", Text, primary_key=True),
    Column("payment_count", BigInteger, nullable=False),
    Column("approved_count", BigInteger, nullable=False),
    Column("declined_count", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    _one_of("grain", Grain),
    # A row may fall back to nothing when its last payment moves to another key, never below.
    CheckConstraint("payment_count >= 0 AND approved_count >= 0 AND declined_count >= 0", name="counts"),
)

rollup_latency = Table(
    "rollup_latency",
    metadata,
    Column("bucket_at", Time, primary_key=True),
    Column("bound_ms", Integer, primary_key=True),
    Column("payment_count", BigInteger, nullable=False),
    CheckConstraint("payment_count >= 0", name="payment_count"),
)

# A channel's file as it came, whole. `raw` of superseded files of a day is let go; the hash stays, because
# breaks name it as evidence.
settlement_file = Table(
    "settlement_file",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("settled_on", Date, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("raw", LargeBinary),
    Column("byte_count", BigInteger, nullable=False),
    Column("line_count", BigInteger),
    Column("fault", Text),
    Column("fault_line", BigInteger),
    Column("fault_detail", String),
    Column("fetched_at", Time, nullable=False),
    UniqueConstraint("channel", "settled_on", "sha256"),
    CheckConstraint("(fault IS NULL) = (line_count IS NOT NULL)", name="whole_or_refused"),
)

reconciliation_run = Table(
    "reconciliation_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("file_made_at", Time, nullable=False),
    Column("finished_at", Time, nullable=False, server_default=NOW),
    Column("ledger_count", BigInteger, nullable=False),
    Column("file_count", BigInteger, nullable=False),
    Column("matched_count", BigInteger, nullable=False),
    Column("break_count", BigInteger, nullable=False),
    Column("excluded_count", BigInteger, nullable=False),
    Column("totals", JSON, nullable=False),
    _one_of("state", ("balanced", "broken", "refused")),
)
Index(
    "reconciliation_run_latest_idx",
    reconciliation_run.c.day.desc(),
    reconciliation_run.c.channel,
    reconciliation_run.c.finished_at.desc(),
)

reconciliation_break = Table(
    "reconciliation_break",
    metadata,
    Column("id", Text, primary_key=True),
    Column("day", Date, nullable=False),
    Column("channel", Text, nullable=False),
    Column("break_class", Text, nullable=False),
    Column("settled_type", Text, nullable=False),
    Column("rule", Text),
    Column("journal_id", Text),
    Column("payment_id", Text),
    Column("channel_reference", Text),
    Column("channel_key", Text),
    Column("ledger_amount_minor", BigInteger),
    Column("ledger_currency", Text),
    Column("ledger_at", Time),
    Column("file_amount_minor", BigInteger),
    Column("file_currency", Text),
    Column("file_line", BigInteger),
    Column("file_sha256", Text),
    Column("run_id", Text, nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("last_seen_at", Time, nullable=False),
    Column("closed_at", Time),
    _one_of("break_class", BreakClass),
)
Index(None, reconciliation_break.c.day, reconciliation_break.c.channel)
Index(
    "reconciliation_break_open_idx",
    reconciliation_break.c.opened_at,
    postgresql_where=reconciliation_break.c.closed_at.is_(None),
)
