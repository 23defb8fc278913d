"""The schema `payments`. Every invariant of the domain stands here once more as a constraint (pair assertions)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
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
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.payment import Status
from platform_kit.db import metadata as schema_metadata
from platform_kit.idempotency import idempotency_table
from platform_kit.outbox import outbox_tables
from platform_kit.tasks import job_run_table

SCHEMA = "payments"
metadata = schema_metadata(SCHEMA)

Id = String(collation="C")  # ids are ASCII and compared by bytes, which is also their order in time
Time = DateTime(timezone=True)
NOW = text("now()")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


merchant = Table(
    "merchant",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("country", String(2), nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # BLAKE2b; the key itself is shown once
    Column("revoked_at", Time),
    Column("created_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
)

payment = Table(
    "payment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("capture", String, nullable=False),
    Column("method", JSONB, nullable=False),
    Column("channel", String),
    Column("status", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("authorised_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("open_attempt_id", Id),
    Column("decline_code", String),
    Column("next_action", JSONB),
    Column("risk", JSONB),
    Column("reference", String),
    Column("description", String),
    Column("customer", JSONB),
    Column("metadata", JSONB, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("0 <= refunded_minor AND refunded_minor <= captured_minor", name="refunded_within_captured"),
    CheckConstraint("captured_minor <= authorised_minor", name="captured_within_authorised"),
    CheckConstraint("authorised_minor <= amount_minor", name="authorised_within_amount"),
    _one_of("capture", ("automatic", "manual")),
    _one_of("status", tuple(Status)),
    Index("payment_by_merchant_idx", "merchant_id", "id"),
    Index("payment_by_reference_idx", "merchant_id", "reference", postgresql_where=text("reference IS NOT NULL")),
    # Holds that run out: the expiry job's work list.
    Index(
        "payment_may_expire_idx", "created_at",
        postgresql_where=text("status IN ('authorised', 'partially_captured')"),
    ),
)  # fmt: skip

refund = Table(
    "refund",
    metadata,
    Column("id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False, index=True),
    Column("merchant_id", Id, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["payment_id"], ["payments.payment.id"]),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    _one_of("status", ("pending", "succeeded", "failed")),
)

# One question to a channel. A row without `outcome` is "about to be sent, or sent": whoever finds it after `due_at`
# asks that channel by that id.
attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False, index=True),
    Column("original", Id),  # the authorisation that a capture, void or refund belongs to
    Column("refund_id", Id),
    Column("operation", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("claim_scope", String),
    Column("claim_key", String),
    Column("sent_at", Time, nullable=False),
    Column("outcome", String),
    Column("code", String),
    Column("channel_reference", String),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", Time),  # when the resolver asks; NULL = nothing left to find out
    ForeignKeyConstraint(["payment_id"], ["payments.payment.id"]),
    Index("attempt_due_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("attempt_by_reference_idx", "channel", "channel_reference"),
)

# What channels reported by themselves: unique by their event id, kept as received.
channel_event = Table(
    "channel_event",
    metadata,
    Column("channel", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("attempt_id", Id),
    Column("body", JSONB, nullable=False),
    Column("received_at", Time, nullable=False, server_default=NOW),
)

account = Table(
    "account",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("owner", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("debits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("debits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("floor_minor", BigInteger),  # NULL = unbounded
    Column("created_at", Time, nullable=False, server_default=NOW),
    UniqueConstraint("owner", "kind", "currency"),
    UniqueConstraint("id", "currency"),  # what the transfers' composite keys point to
    CheckConstraint(
        "debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0",
        name="counters_not_negative",
    ),
    CheckConstraint(
        "floor_minor IS NULL OR credits_posted - debits_posted - debits_pending >= floor_minor",
        name="not_below_floor",
    ),
    postgresql_with={"fillfactor": "50"},  # counters change in place (HOT) instead of growing the index
)

# Append-only: the app role has no UPDATE and no DELETE here. A row cannot be unbalanced, and the composite foreign
# keys make a currency mismatch impossible.
transfer = Table(
    "transfer",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("journal_id", Id, nullable=False, index=True),
    Column("debit_account_id", BigInteger, nullable=False),
    Column("credit_account_id", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("kind", String, nullable=False),
    Column("payment_id", Id),
    Column("recorded_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(
        ["debit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    ForeignKeyConstraint(
        ["credit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
    _one_of("kind", ("posted", "pending", "post", "release")),
    Index("transfer_by_payment_idx", "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
)

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
    _one_of("status", ("due", "delivered", "dead")),
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

idempotency_key = idempotency_table(metadata)
outbox = outbox_tables(metadata)
# A merchant's page of events.
Index("event_by_merchant_idx", outbox.event.c.merchant_id, outbox.event.c.position)
job_run = job_run_table(metadata)
