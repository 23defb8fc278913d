"""Silver: one row a payment, refund, dispute, payout, reserve, case, transfer, assessment, webhook attempt, and version
of a merchant; of what changes the newest by position wins."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    text,
)

from data_pipeline.domain.facts import (
    ATTEMPT_OUTCOMES,
    CASE_STATUSES,
    DECISIONS,
    DISPUTE_STATUSES,
    PAYOUT_STATUSES,
    PRIORITIES,
    REFUND_STATUSES,
    STATUSES,
    TRANSFER_KINDS,
)
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

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
    one_of("status", STATUSES),
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
Index(
    "fact_payment_over_refunded_idx",
    fact_payment.c.payment_id,
    postgresql_where=text("refunded_minor > captured_minor"),
)
Index("fact_payment_unknown_idx", fact_payment.c.created_at, postgresql_where=text("status = 'unknown'"))

# The console's payment list: what is rare is found by its own index, what is common by the one of all payments.
for _name in ("status", "channel", "decision", "merchant_id"):
    Index(f"fact_payment_{_name}_idx", fact_payment.c[_name], fact_payment.c.created_at.desc())
Index("fact_payment_amount_idx", fact_payment.c.currency, fact_payment.c.amount_minor)

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
    one_of("status", REFUND_STATUSES),
)

fact_dispute = Table(
    "fact_dispute",
    metadata,
    Column("dispute_id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False, index=True),
    Column("merchant_id", Text, nullable=False),
    Column("channel", Text),
    Column("status", Text, nullable=False),
    Column("reason", String, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reserved_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("fee_returned_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("closed_by", Text),
    Column("evidence_due_at", Time, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("decided_at", Time),
    Column("position", BigInteger, nullable=False),
    one_of("status", DISPUTE_STATUSES),
)
Index("fact_dispute_merchant_id_idx", fact_dispute.c.merchant_id, fact_dispute.c.created_at.desc())

fact_payout = Table(
    "fact_payout",
    metadata,
    Column("payout_id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("slot", Text),
    Column("failure_code", Text),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("decided_at", Time),
    Column("position", BigInteger, nullable=False),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
    one_of("status", PAYOUT_STATUSES),
)
Index("fact_payout_merchant_id_idx", fact_payout.c.merchant_id, fact_payout.c.created_at.desc())

fact_reserve = Table(
    "fact_reserve",
    metadata,
    Column("reserve_id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("release_at", Time, nullable=False),
    Column("decided_at", Time),
    Column("position", BigInteger, nullable=False),
)
Index("fact_reserve_merchant_id_idx", fact_reserve.c.merchant_id, fact_reserve.c.release_at)

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
    one_of("kind", TRANSFER_KINDS),
)
Index(
    "fact_transfer_settled_idx",
    fact_transfer.c.settled_channel,
    fact_transfer.c.occurred_at,
    postgresql_where=fact_transfer.c.settled_channel.is_not(None),
)
Index(
    "fact_transfer_reference_idx",
    fact_transfer.c.channel_reference,
    postgresql_where=fact_transfer.c.channel_reference.is_not(None),
)

# A merchant's settlement reads what moved since its last one.
Index(
    "fact_transfer_merchant_idx",
    fact_transfer.c.merchant_id,
    fact_transfer.c.currency,
    fact_transfer.c.occurred_at,
    postgresql_where=fact_transfer.c.merchant_id.is_not(None),
)
for _name, _column in (("position", "position"), ("time", "occurred_at")):
    Index(  # the newest pages, which are asked for most, are summarized without waiting for a vacuum
        f"fact_transfer_{_name}_idx",
        fact_transfer.c[_column],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
for _name in ("debit", "credit"):  # an account's entries in their order
    Index(
        f"fact_transfer_{_name}_idx",
        fact_transfer.c[_name],
        fact_transfer.c.currency,
        fact_transfer.c.occurred_at,
        fact_transfer.c.position,
        fact_transfer.c.line,
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
    one_of("decision", DECISIONS),
)

# A slowly changing dimension of type 2: a row a version, in force in [valid_from, valid_to), the newest without an end.
merchant_version = Table(
    "merchant_version",
    metadata,
    Column("merchant_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
    Column("country", Text, nullable=False),
    Column("mcc", Text),
    Column("api_version", Text, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("settlement_delay_days", Integer, nullable=False),
    Column("settlement_currency", Text),
    Column("fee_plan", JSON),
    Column("reserve_basis_points", Integer),
    Column("reserve_days", Integer),
    Column("told_at", Time, nullable=False),
    Column("valid_from", Time, nullable=False),
    Column("valid_to", Time),
    CheckConstraint("valid_from <= valid_to", name="in_force"),
)
Index("merchant_version_told_idx", merchant_version.c.told_at)

fact_webhook_attempt = Table(
    "fact_webhook_attempt",
    metadata,
    Column("told_by", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("delivery_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("error", Text),
    Column("duration_ms", BigInteger, nullable=False),
    Column("waited_ms", BigInteger),
    Column("ended_at", Time, nullable=False, index=True),
    Column("position", BigInteger, nullable=False),
    one_of("outcome", ATTEMPT_OUTCOMES.values()),
)

fact_case = Table(
    "fact_case",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("payment_count", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("had_proposal", Boolean, nullable=False),
    Column("opened_at", Time, nullable=False, index=True),
    Column("due_at", Time, nullable=False),
    Column("decided_at", Time),
    Column("position", BigInteger, nullable=False),
    one_of("priority", PRIORITIES),
    one_of("status", CASE_STATUSES),
)
