"""Payments, their refunds, the questions to channels, and what channels reported."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.payment import Status
from payment_gateway.store.tables.schema import NOW, Id, Time, metadata, one_of

UNSEALED_PAYER = "jsonb_typeof(customer) = 'object' AND (customer ->> 'subject') IS NULL"

payment = Table(
    "payment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("capture", String, nullable=False),
    Column("method", JSONB),
    Column("channel", String),
    Column("status", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("authorised_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("disputed_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("fee_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("fee_returned_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("surcharge_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("surcharge_refunded_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("open_attempt_id", Id),
    Column("authorised_by", Id),
    Column("decline_code", String),
    Column("next_action", JSONB),
    Column("risk", JSONB),
    Column("reference", String),
    Column("description", String),
    Column("statement_descriptor", String),
    Column("customer", JSONB),
    Column("metadata", JSONB, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint(
        "0 <= refunded_minor AND 0 <= disputed_minor AND refunded_minor + disputed_minor <= captured_minor",
        name="refunded_within_captured",
    ),
    CheckConstraint("captured_minor <= authorised_minor", name="captured_within_authorised"),
    CheckConstraint("authorised_minor <= amount_minor", name="authorised_within_amount"),
    CheckConstraint(
        "0 <= fee_returned_minor AND fee_returned_minor <= fee_minor AND fee_minor <= captured_minor",
        name="fee_returned_within_fee",
    ),
    CheckConstraint(
        "0 <= surcharge_minor AND surcharge_minor * 10400 <= amount_minor * 400", name="surcharge_within_cap"
    ),
    CheckConstraint(
        "0 <= surcharge_refunded_minor AND surcharge_refunded_minor <= surcharge_minor",
        name="surcharge_refunded_within_surcharge",
    ),
    # Nothing can be charged that has no method.
    CheckConstraint(
        "method IS NOT NULL OR status IN ('requires_payment_method', 'cancelled')", name="method_is_known"
    ),
    one_of("capture", ("automatic", "manual")),
    one_of("status", tuple(Status)),
    Index("payment_by_merchant_idx", "merchant_id", "id"),
    Index("payment_by_reference_idx", "merchant_id", "reference", postgresql_where=text("reference IS NOT NULL")),
    # What is under review, by the assessment that a verdict names.
    Index(
        "payment_by_assessment_idx", text("(risk ->> 'assessment_id')"),
        postgresql_where=text("risk ->> 'decision' = 'review'"),
    ),
    # All of one payer, and the work list of who seals what an older version kept in clear.
    Index(
        "payment_by_subject_idx", text("(customer ->> 'subject')"),
        postgresql_where=text("(customer ->> 'subject') IS NOT NULL"),
    ),
    Index("payment_unsealed_idx", "id", postgresql_where=text(UNSEALED_PAYER)),
    # Holds and payers' actions that run out: the expiry job's work list.
    Index(
        "payment_may_expire_idx", "created_at",
        postgresql_where=text("status IN ('authorised', 'partially_captured', 'requires_action')"),
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
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("fee_returned_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("surcharge_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("failure_code", String),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["payment_id"], ["payments.payment.id"]),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint(
        "0 <= surcharge_minor AND surcharge_minor <= amount_minor", name="surcharge_within_amount"
    ),
    CheckConstraint(
        "0 <= fee_returned_minor AND fee_returned_minor <= amount_minor", name="fee_returned_within_amount"
    ),
    one_of("status", ("pending", "succeeded", "failed")),
    Index("refund_by_merchant_idx", "merchant_id", "created_at", "id"),
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
    Column("surcharge_minor", BigInteger, nullable=False, server_default=text("0")),
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
    Column(
        "effect", String
    ),  # applied, stale (told nothing new), parked; what came before this column has none
)
