# ruff: noqa: E501 - generated DDL
"""The gateway's first schema: payments, ledger, outbox, webhooks.

Revision: 20261123_initial
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_initial"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("debits_posted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_posted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("debits_pending", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_pending", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("floor_minor", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0",
            name=op.f("account_counters_not_negative_check"),
        ),
        sa.CheckConstraint(
            "floor_minor IS NULL OR credits_posted - debits_posted - debits_pending >= floor_minor",
            name=op.f("account_not_below_floor_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("id", "currency", name=op.f("account_id_currency_key")),
        sa.UniqueConstraint("owner", "kind", "currency", name=op.f("account_owner_kind_currency_key")),
        schema="payments",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "channel_event",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.String(collation="C"), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("channel", "event_id", name=op.f("channel_event_pkey")),
        schema="payments",
    )
    op.create_table(
        "idempotency_key",
        sa.Column("scope", sa.String(collation="C"), nullable=False),
        sa.Column("key", sa.String(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.String(collation="C"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("idempotency_key_pkey")),
        schema="payments",
    )
    op.create_index(
        op.f("idempotency_key_created_at_idx"),
        "idempotency_key",
        ["created_at"],
        unique=False,
        schema="payments",
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
        schema="payments",
    )
    op.create_table(
        "merchant",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("merchant_pkey")),
        schema="payments",
    )
    op.create_table(
        "outbox_event",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "seq", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="order of insertion"
        ),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("aggregate_id", sa.Text(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.Text(collation="C"), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("traceparent", sa.Text(collation="C"), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "position", sa.BigInteger(), nullable=True, comment="dense, in commit order; null until numbered"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_event_pkey")),
        sa.UniqueConstraint("position", name=op.f("outbox_event_position_key")),
        schema="payments",
    )
    op.create_index(
        "event_by_merchant_idx", "outbox_event", ["merchant_id", "position"], unique=False, schema="payments"
    )
    op.create_index(
        "outbox_event_unpositioned_idx",
        "outbox_event",
        ["seq"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("position IS NULL"),
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.SmallInteger(), server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("last_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("published_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("outbox_head_one_row_check")),
        sa.CheckConstraint("published_position <= last_position", name=op.f("outbox_head_published_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_head_pkey")),
        schema="payments",
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("capture", sa.String(), nullable=False),
        sa.Column("method", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("authorised_minor", sa.BigInteger(), nullable=False),
        sa.Column("captured_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("open_attempt_id", sa.String(collation="C"), nullable=True),
        sa.Column("decline_code", sa.String(), nullable=True),
        sa.Column("next_action", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("risk", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("customer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("capture IN ('automatic', 'manual')", name=op.f("payment_capture_check")),
        sa.CheckConstraint(
            "status IN ('processing', 'requires_action', 'unknown', 'authorised', 'partially_captured', 'captured', 'declined', 'failed', 'voided', 'expired')",
            name=op.f("payment_status_check"),
        ),
        sa.CheckConstraint(
            "0 <= refunded_minor AND refunded_minor <= captured_minor",
            name=op.f("payment_refunded_within_captured_check"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("payment_amount_is_positive_check")),
        sa.CheckConstraint(
            "authorised_minor <= amount_minor", name=op.f("payment_authorised_within_amount_check")
        ),
        sa.CheckConstraint(
            "captured_minor <= authorised_minor", name=op.f("payment_captured_within_authorised_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("payment_pkey")),
        schema="payments",
    )
    op.create_index(
        "payment_by_merchant_idx", "payment", ["merchant_id", "id"], unique=False, schema="payments"
    )
    op.create_index(
        "payment_by_reference_idx",
        "payment",
        ["merchant_id", "reference"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index(
        "payment_may_expire_idx",
        "payment",
        ["created_at"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("status IN ('authorised', 'partially_captured')"),
    )
    op.create_table(
        "webhook_cursor",
        sa.Column("singleton", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("singleton", name=op.f("webhook_cursor_one_row_check")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("webhook_cursor_pkey")),
        schema="payments",
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("api_key_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_key_key_hash_key")),
        schema="payments",
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("payment_id", sa.String(collation="C"), nullable=False),
        sa.Column("original", sa.String(collation="C"), nullable=True),
        sa.Column("refund_id", sa.String(collation="C"), nullable=True),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("claim_scope", sa.String(), nullable=True),
        sa.Column("claim_key", sa.String(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("channel_reference", sa.String(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment.id"], name=op.f("attempt_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attempt_pkey")),
        schema="payments",
    )
    op.create_index(
        "attempt_by_reference_idx",
        "attempt",
        ["channel", "channel_reference"],
        unique=False,
        schema="payments",
    )
    op.create_index(
        "attempt_due_idx",
        "attempt",
        ["due_at"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        op.f("attempt_payment_id_idx"), "attempt", ["payment_id"], unique=False, schema="payments"
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("payment_id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name=op.f("refund_status_check")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("refund_amount_is_positive_check")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.payment.id"], name=op.f("refund_payment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("refund_pkey")),
        schema="payments",
    )
    op.create_index(op.f("refund_payment_id_idx"), "refund", ["payment_id"], unique=False, schema="payments")
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("journal_id", sa.String(collation="C"), nullable=False),
        sa.Column("debit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(collation="C"), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('posted', 'pending', 'post', 'release')", name=op.f("transfer_kind_check")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("transfer_amount_is_positive_check")),
        sa.CheckConstraint("debit_account_id <> credit_account_id", name=op.f("transfer_two_accounts_check")),
        sa.ForeignKeyConstraint(
            ["credit_account_id", "currency"],
            ["payments.account.id", "payments.account.currency"],
            name=op.f("transfer_credit_account_id_currency_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["debit_account_id", "currency"],
            ["payments.account.id", "payments.account.currency"],
            name=op.f("transfer_debit_account_id_currency_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("transfer_pkey")),
        schema="payments",
    )
    op.create_index(
        "transfer_by_payment_idx",
        "transfer",
        ["payment_id"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("payment_id IS NOT NULL"),
    )
    op.create_index(
        op.f("transfer_journal_id_idx"), "transfer", ["journal_id"], unique=False, schema="payments"
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("webhook_endpoint_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoint_pkey")),
        schema="payments",
    )
    op.create_index(
        op.f("webhook_endpoint_merchant_id_idx"),
        "webhook_endpoint",
        ["merchant_id"],
        unique=False,
        schema="payments",
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("endpoint_id", sa.String(collation="C"), nullable=False),
        sa.Column("event_id", sa.String(collation="C"), nullable=False),
        sa.Column("status", sa.String(), server_default=sa.text("'due'"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status_code", sa.SmallInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('due', 'delivered', 'dead')", name=op.f("webhook_delivery_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["payments.webhook_endpoint.id"], name=op.f("webhook_delivery_endpoint_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_delivery_pkey")),
        sa.UniqueConstraint(
            "endpoint_id", "event_id", name=op.f("webhook_delivery_endpoint_id_event_id_key")
        ),
        schema="payments",
    )
    op.create_index(
        "webhook_delivery_due_idx",
        "webhook_delivery",
        ["endpoint_id", "due_at"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("status = 'due'"),
    )
    # History is appended, never edited: what the program may not do, it cannot do.
    op.execute("REVOKE UPDATE, DELETE ON payments.transfer FROM payments_app")
    op.execute(
        "REVOKE DELETE ON payments.account, payments.payment, payments.refund, payments.attempt FROM payments_app"
    )
    op.execute("REVOKE UPDATE, DELETE ON payments.channel_event FROM payments_app")
    op.execute("REVOKE UPDATE, DELETE ON payments.outbox_event FROM payments_app")
    op.execute("GRANT UPDATE (position) ON payments.outbox_event TO payments_app")
    op.execute("REVOKE DELETE ON payments.outbox_head FROM payments_app")
    op.execute("INSERT INTO payments.webhook_cursor DEFAULT VALUES")
