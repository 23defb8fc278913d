"""Disputes, payouts, and how far a merchant's captures are settled."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.domain.dispute import DisputeStatus
from payment_gateway.domain.payout import PayoutStatus
from payment_gateway.store.tables.schema import Id, Time, metadata, one_of

# A list, which a merchant cannot write into evidence: its members are texts.
UNSEALED_EVIDENCE = "evidence <> '{}'::jsonb AND (jsonb_typeof(evidence -> 'sealed') = 'array') IS NOT TRUE"

dispute = Table(
    "dispute",
    metadata,
    Column("id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False, index=True),
    Column("merchant_id", Id, nullable=False),
    Column("channel", String, nullable=False),
    Column("channel_reference", String, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reason", String, nullable=False),
    Column("status", String, nullable=False),
    Column("evidence_due_at", Time, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("reserved_minor", BigInteger, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("closed_by", String),
    Column("send_at", Time),
    Column("fee_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("fee_returns", Boolean, nullable=False, server_default=text("false")),
    ForeignKeyConstraint(["payment_id"], ["payments.payment.id"]),
    CheckConstraint("fee_minor >= 0", name="fee_is_not_negative"),
    UniqueConstraint("channel", "channel_reference"),  # reported twice, opened once
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("reserved_minor BETWEEN 0 AND amount_minor", name="reserved_within_amount"),
    one_of("status", tuple(DisputeStatus)),
    Index("dispute_by_merchant_idx", "merchant_id", "created_at", "id"),
    Index(
        "dispute_by_subject_idx",
        text("(evidence ->> 'subject')"),
        postgresql_where=text("(evidence ->> 'subject') IS NOT NULL"),
    ),
    # The work list of who seals what an older version kept in clear.
    Index("dispute_unsealed_idx", "id", postgresql_where=text(UNSEALED_EVIDENCE)),
    Index("dispute_to_send_idx", "send_at", postgresql_where=text("send_at IS NOT NULL")),
    Index("dispute_runs_out_idx", "evidence_due_at", postgresql_where=text("status = 'needs_response'")),
)

payout = Table(
    "payout",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("destination", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("slot", String),
    Column("failure_code", String),
    Column("tries", Integer, nullable=False),
    Column("due_at", Time),
    Column("description", String),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    UniqueConstraint("merchant_id", "currency", "slot"),  # a scheduled payout is made once per day
    one_of("status", tuple(PayoutStatus)),
    Index("payout_by_merchant_idx", "merchant_id", "created_at", "id"),
    Index("payout_due_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# How a merchant is settled and paid; no row = the defaults of `domain.terms`.
merchant_terms = Table(
    "merchant_terms",
    metadata,
    Column("merchant_id", Id, primary_key=True),
    Column("settlement_delay_days", SmallInteger, nullable=False),
    Column("payout_destination", String),  # NULL = paid out by hand only
    Column("fee_plan", JSONB),  # NULL = no fees
    Column("settlement_currency", String(3)),  # NULL = each currency for itself
    Column("reserve_basis_points", SmallInteger),  # NULL = nothing is kept back
    Column("reserve_days", SmallInteger),
    ForeignKeyConstraint(["merchant_id"], ["payments.merchant.id"]),
    CheckConstraint("settlement_delay_days BETWEEN 0 AND 60", name="delay_is_sane"),
    CheckConstraint(
        "(reserve_basis_points IS NULL) = (reserve_days IS NULL)"
        " AND reserve_basis_points BETWEEN 1 AND 10000 AND reserve_days BETWEEN 1 AND 365",
        name="reserve_is_sane",
    ),
)

# Up to which transfer a merchant's captures have moved from pending to available, a channel's charges have their cost.
settlement = Table(
    "settlement",
    metadata,
    Column("id", String(collation="C"), primary_key=True),  # an account's owner and currency
    Column("transfer_id", BigInteger, nullable=False),
)

# What conversions into a currency left by rounding and is no whole minor unit yet, in 10^-18 of one.
fx_residue = Table(
    "fx_residue",
    metadata,
    Column("id", String(3), primary_key=True),  # the currency
    Column("carried_atto", BigInteger, nullable=False),
    CheckConstraint("abs(carried_atto) < 1000000000000000000", name="carried_is_below_one"),
)
