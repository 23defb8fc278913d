"""pre: create the schema's tables

Revision ID: pipeline_0001
Revises:

Label `pre`: runs before the code that needs it. Later migrations expand first and contract one release later, so
that the version now running works on before and after.
"""

# ruff: noqa: E501 - written by autogenerate, one column a line

import sqlalchemy as sa
from alembic import op

revision = "pipeline_0001"
down_revision = None
branch_labels = None
depends_on = None

# Bronze and the double-entry fact are history: the program adds to them and cannot edit them.
APPEND_ONLY = ("stored_event", "fact_transfer", "fact_assessment")


def upgrade() -> None:
    op.create_table(
        "consumer_cursor",
        sa.Column("consumer", sa.Text(collation="C"), nullable=False),
        sa.Column("stream", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="highest contiguous position applied"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("position >= 0", name=op.f("consumer_cursor_position_check")),
        sa.PrimaryKeyConstraint("consumer", "stream", name=op.f("consumer_cursor_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "event_count",
        sa.Column("stream", sa.String(collation="C"), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("event_count_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "fact_assessment",
        sa.Column("assessment_id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=True),
        sa.Column("payment_id", sa.String(collation="C"), nullable=True),
        sa.Column("decision", sa.String(collation="C"), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("rule_set", sa.String(collation="C"), nullable=True),
        sa.Column("model", sa.String(collation="C"), nullable=True),
        sa.Column("degraded", sa.JSON(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('allow', 'block', 'challenge', 'review')",
            name=op.f("fact_assessment_decision_check"),
        ),
        sa.PrimaryKeyConstraint("assessment_id", name=op.f("fact_assessment_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("fact_assessment_payment_id_idx"),
        "fact_assessment",
        ["payment_id"],
        unique=False,
        schema="pipeline",
    )
    op.create_table(
        "fact_payment",
        sa.Column("payment_id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("status", sa.String(collation="C"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("authorised_minor", sa.BigInteger(), nullable=False),
        sa.Column("captured_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(collation="C"), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=True),
        sa.Column("reference", sa.String(collation="C"), nullable=True),
        sa.Column("decline_code", sa.String(collation="C"), nullable=True),
        sa.Column("decision", sa.String(collation="C"), nullable=True),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("is_fallback", sa.Boolean(), nullable=True),
        sa.Column("assessment_id", sa.String(collation="C"), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "decision IS NULL OR decision IN ('allow', 'block', 'challenge', 'review')",
            name=op.f("fact_payment_decision_check"),
        ),
        sa.CheckConstraint(
            "status IN ('authorised', 'captured', 'declined', 'expired', 'failed', 'partially_captured', 'processing', 'requires_action', 'unknown', 'voided')",
            name=op.f("fact_payment_status_check"),
        ),
        sa.CheckConstraint(
            "amount_minor >= 0 AND authorised_minor >= 0 AND captured_minor >= 0 AND refunded_minor >= 0",
            name=op.f("fact_payment_amounts_check"),
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("fact_payment_pkey")),
        schema="pipeline",
    )
    op.create_index(
        "fact_payment_latest_idx",
        "fact_payment",
        [sa.literal_column("created_at DESC"), sa.literal_column("payment_id DESC")],
        unique=False,
        schema="pipeline",
    )
    op.create_index(
        "fact_payment_reference_idx", "fact_payment", ["reference"], unique=False, schema="pipeline"
    )
    op.create_index(
        "fact_payment_unknown_idx",
        "fact_payment",
        ["created_at"],
        unique=False,
        schema="pipeline",
        postgresql_where=sa.text("status = 'unknown'"),
    )
    op.create_table(
        "fact_refund",
        sa.Column("refund_id", sa.String(collation="C"), nullable=False),
        sa.Column("payment_id", sa.String(collation="C"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("status", sa.String(collation="C"), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('failed', 'pending', 'succeeded')", name=op.f("fact_refund_status_check")
        ),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("fact_refund_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("fact_refund_payment_id_idx"), "fact_refund", ["payment_id"], unique=False, schema="pipeline"
    )
    op.create_table(
        "fact_transfer",
        sa.Column("journal_id", sa.String(collation="C"), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.String(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("aggregate_id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=True),
        sa.Column("debit", sa.String(collation="C"), nullable=False),
        sa.Column("credit", sa.String(collation="C"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("kind", sa.String(collation="C"), nullable=False),
        sa.Column("settled_channel", sa.String(collation="C"), nullable=True),
        sa.Column("settled_type", sa.String(collation="C"), nullable=True),
        sa.Column("channel_reference", sa.String(collation="C"), nullable=True),
        sa.Column("channel_key", sa.String(collation="C"), nullable=True),
        sa.CheckConstraint(
            "kind IN ('pending', 'post', 'posted', 'release', 'void')", name=op.f("fact_transfer_kind_check")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("fact_transfer_amount_minor_check")),
        sa.CheckConstraint("debit <> credit", name=op.f("fact_transfer_accounts_check")),
        sa.PrimaryKeyConstraint("journal_id", "line", name=op.f("fact_transfer_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("fact_transfer_aggregate_id_idx"),
        "fact_transfer",
        ["aggregate_id"],
        unique=False,
        schema="pipeline",
    )
    op.create_index(
        "fact_transfer_settled_idx",
        "fact_transfer",
        ["settled_channel", "occurred_at"],
        unique=False,
        schema="pipeline",
        postgresql_where=sa.text("settled_channel IS NOT NULL"),
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "slot", sa.DateTime(timezone=True), nullable=False, comment="start of the slot, database time"
        ),
        sa.Column("claimed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("job_run_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream", sa.String(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(collation="C"), nullable=True),
        sa.Column("type", sa.String(collation="C"), nullable=True),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("fault", sa.String(collation="C"), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("state", sa.String(collation="C"), server_default=sa.text("'open'"), nullable=False),
        sa.CheckConstraint("state IN ('discarded', 'open', 'replayed')", name=op.f("quarantine_state_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("quarantine_pkey")),
        sa.UniqueConstraint("stream", "position", name=op.f("quarantine_stream_position_key")),
        schema="pipeline",
    )
    op.create_index(
        "quarantine_open_idx",
        "quarantine",
        ["first_seen_at"],
        unique=False,
        schema="pipeline",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "reconciliation_break",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=False),
        sa.Column("break_class", sa.String(collation="C"), nullable=False),
        sa.Column("settled_type", sa.String(collation="C"), nullable=False),
        sa.Column("rule", sa.String(collation="C"), nullable=True),
        sa.Column("journal_id", sa.String(collation="C"), nullable=True),
        sa.Column("payment_id", sa.String(collation="C"), nullable=True),
        sa.Column("channel_reference", sa.String(collation="C"), nullable=True),
        sa.Column("channel_key", sa.String(collation="C"), nullable=True),
        sa.Column("ledger_amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("ledger_currency", sa.String(collation="C"), nullable=True),
        sa.Column("ledger_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("file_amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("file_currency", sa.String(collation="C"), nullable=True),
        sa.Column("file_line", sa.BigInteger(), nullable=True),
        sa.Column("file_sha256", sa.String(collation="C"), nullable=True),
        sa.Column("run_id", sa.String(collation="C"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "break_class IN ('amount_differs', 'currency_differs', 'duplicate_in_file', 'duplicate_in_ledger', 'missing_in_channel_file', 'missing_in_ledger', 'timing')",
            name=op.f("reconciliation_break_break_class_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reconciliation_break_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("reconciliation_break_day_channel_idx"),
        "reconciliation_break",
        ["day", "channel"],
        unique=False,
        schema="pipeline",
    )
    op.create_index(
        "reconciliation_break_open_idx",
        "reconciliation_break",
        ["opened_at"],
        unique=False,
        schema="pipeline",
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "reconciliation_run",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(collation="C"), nullable=False),
        sa.Column("file_id", sa.String(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("file_made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ledger_count", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.BigInteger(), nullable=False),
        sa.Column("matched_count", sa.BigInteger(), nullable=False),
        sa.Column("break_count", sa.BigInteger(), nullable=False),
        sa.Column("excluded_count", sa.BigInteger(), nullable=False),
        sa.Column("totals", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "state IN ('balanced', 'broken', 'refused')", name=op.f("reconciliation_run_state_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reconciliation_run_pkey")),
        schema="pipeline",
    )
    op.create_index(
        "reconciliation_run_latest_idx",
        "reconciliation_run",
        [sa.literal_column("day DESC"), "channel", sa.literal_column("finished_at DESC")],
        unique=False,
        schema="pipeline",
    )
    op.create_table(
        "rollup",
        sa.Column("grain", sa.String(collation="C"), nullable=False),
        sa.Column("bucket_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("method", sa.String(collation="C"), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=False),
        sa.Column("decision", sa.String(collation="C"), nullable=False),
        sa.Column("payment_count", sa.BigInteger(), nullable=False),
        sa.Column("approved_count", sa.BigInteger(), nullable=False),
        sa.Column("declined_count", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("captured_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("grain IN ('day', 'minute')", name=op.f("rollup_grain_check")),
        sa.CheckConstraint(
            "payment_count >= 0 AND approved_count >= 0 AND declined_count >= 0",
            name=op.f("rollup_counts_check"),
        ),
        sa.PrimaryKeyConstraint(
            "grain", "bucket_at", "currency", "method", "channel", "decision", name=op.f("rollup_pkey")
        ),
        schema="pipeline",
    )
    op.create_table(
        "rollup_latency",
        sa.Column("bucket_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bound_ms", sa.Integer(), nullable=False),
        sa.Column("payment_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("payment_count >= 0", name=op.f("rollup_latency_payment_count_check")),
        sa.PrimaryKeyConstraint("bucket_at", "bound_ms", name=op.f("rollup_latency_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "settlement_file",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=False),
        sa.Column("sha256", sa.String(collation="C"), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.String(collation="C"), nullable=True),
        sa.Column("fault_line", sa.BigInteger(), nullable=True),
        sa.Column("fault_detail", sa.String(), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(fault IS NULL) = (line_count IS NOT NULL)", name=op.f("settlement_file_whole_or_refused_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("settlement_file_pkey")),
        sa.UniqueConstraint(
            "channel", "settled_on", "sha256", name=op.f("settlement_file_channel_settled_on_sha256_key")
        ),
        schema="pipeline",
    )
    op.create_table(
        "stored_event",
        sa.Column("stream", sa.String(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(collation="C"), nullable=False),
        sa.Column("type", sa.String(collation="C"), nullable=False),
        sa.Column("aggregate_id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.CheckConstraint("position > 0", name=op.f("stored_event_position_check")),
        sa.PrimaryKeyConstraint("stream", "position", name=op.f("stored_event_pkey")),
        sa.UniqueConstraint("stream", "event_id", name=op.f("stored_event_stream_event_id_key")),
        schema="pipeline",
    )
    op.create_index(
        op.f("stored_event_aggregate_id_position_idx"),
        "stored_event",
        ["aggregate_id", "position"],
        unique=False,
        schema="pipeline",
    )
    op.create_table(
        "stream_head",
        sa.Column("stream", sa.String(collation="C"), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("stream_head_pkey")),
        schema="pipeline",
    )
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.{table} FROM pipeline_app")
