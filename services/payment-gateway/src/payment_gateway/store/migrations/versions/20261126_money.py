"""Disputes, payouts, merchants' terms and settlement.

Revision: 20261126_money
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_money"
down_revision = "20261126_channels"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(collation="C"), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _minor(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _create_disputes()
    _create_payouts()
    op.create_table(
        "merchant_terms",
        _id("merchant_id"),
        sa.Column("settlement_delay_days", sa.SmallInteger(), nullable=False),
        _text("payout_destination", nullable=True),
        sa.Column("fee_plan", postgresql.JSONB(), nullable=True),
        sa.Column("settlement_currency", sa.String(3), nullable=True),
        sa.CheckConstraint(
            "settlement_delay_days BETWEEN 0 AND 60", name=op.f("merchant_terms_delay_is_sane_check")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("merchant_terms_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("merchant_id", name=op.f("merchant_terms_pkey")),
        schema="payments",
    )
    op.create_table(
        "settlement",
        _id("id"),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("settlement_pkey")),
        schema="payments",
    )
    for side in (
        "debit",
        "credit",
    ):  # the movements of one account, in order: settlement, balance transactions
        columns = [f"{side}_account_id", "id"]
        op.create_index(f"transfer_by_{side}_idx", "transfer", columns, schema="payments", if_not_exists=True)
    op.execute(
        "REVOKE DELETE ON payments.dispute, payments.payout, payments.merchant_terms, payments.settlement"
        " FROM payments_app"
    )


def _create_disputes() -> None:
    statuses = "'warning', 'warning_closed', 'needs_response', 'under_review', 'won', 'lost'"
    op.create_table(
        "dispute",
        _id("id"),
        _id("payment_id"),
        _id("merchant_id"),
        _text("channel"),
        _text("channel_reference"),
        _minor("amount_minor"),
        sa.Column("currency", sa.String(3), nullable=False),
        _text("reason"),
        _text("status"),
        _time("evidence_due_at"),
        _time("created_at"),
        _time("updated_at"),
        _minor("reserved_minor"),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        _text("closed_by", nullable=True),
        _time("send_at", nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("dispute_amount_is_positive_check")),
        sa.CheckConstraint(
            "reserved_minor BETWEEN 0 AND amount_minor", name=op.f("dispute_reserved_within_amount_check")
        ),
        sa.CheckConstraint(f"status IN ({statuses})", name=op.f("dispute_status_check")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment.id"], name=op.f("dispute_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dispute_pkey")),
        sa.UniqueConstraint(
            "channel", "channel_reference", name=op.f("dispute_channel_channel_reference_key")
        ),
        schema="payments",
    )
    op.create_index(op.f("dispute_payment_id_idx"), "dispute", ["payment_id"], schema="payments")
    op.create_index(
        "dispute_by_merchant_idx", "dispute", ["merchant_id", "created_at", "id"], schema="payments"
    )
    op.create_index(
        "dispute_to_send_idx", "dispute", ["send_at"], schema="payments",
        postgresql_where=sa.text("send_at IS NOT NULL"),
    )  # fmt: skip
    op.create_index(
        "dispute_runs_out_idx", "dispute", ["evidence_due_at"], schema="payments",
        postgresql_where=sa.text("status = 'needs_response'"),
    )  # fmt: skip


def _create_payouts() -> None:
    statuses = "'pending', 'in_transit', 'paid', 'failed', 'returned', 'cancelled'"
    op.create_table(
        "payout",
        _id("id"),
        _id("merchant_id"),
        _minor("amount_minor"),
        sa.Column("currency", sa.String(3), nullable=False),
        _text("destination"),
        _text("status"),
        _time("created_at"),
        _time("updated_at"),
        _text("slot", nullable=True),
        _text("failure_code", nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        _time("due_at", nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("payout_amount_is_positive_check")),
        sa.CheckConstraint(f"status IN ({statuses})", name=op.f("payout_status_check")),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("payout_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("payout_pkey")),
        sa.UniqueConstraint(
            "merchant_id", "currency", "slot", name=op.f("payout_merchant_id_currency_slot_key")
        ),
        schema="payments",
    )
    op.create_index(
        "payout_by_merchant_idx", "payout", ["merchant_id", "created_at", "id"], schema="payments"
    )
    op.create_index(
        "payout_due_idx", "payout", ["due_at"], schema="payments",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )  # fmt: skip
