"""The bank as the third side: statements as they came, payouts of channels, and the breaks between them.

Revision: 20261127_41
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_41"
down_revision = "20261127_11"
branch_labels = None
depends_on = None

CLASSES = (
    "amount_differs", "currency_differs", "duplicate_in_file", "duplicate_in_ledger", "fee_differs",
    "missing_in_channel_file", "missing_in_ledger", "payout_amount_differs", "payout_not_received", "status_differs",
    "timing",
)  # fmt: skip


def upgrade() -> None:
    name = "reconciliation_break_break_class_check"
    listed = ", ".join(f"'{word}'" for word in CLASSES)
    op.execute(f"ALTER TABLE pipeline.reconciliation_break DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE pipeline.reconciliation_break ADD CONSTRAINT {name} CHECK (break_class IN ({listed}))"
    )
    op.add_column("reconciliation_break", sa.Column("bank_amount_minor", sa.BigInteger()), schema="pipeline")
    op.add_column(
        "reconciliation_break", sa.Column("bank_sha256", sa.String(collation="C")), schema="pipeline"
    )
    op.create_table(
        "bank_statement",
        sa.Column("sha256", sa.String(collation="C"), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("entry_count", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.String(collation="C"), nullable=True),
        sa.Column("fault_detail", sa.String(), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(fault IS NULL) = (entry_count IS NOT NULL)", name=op.f("bank_statement_whole_or_refused_check")
        ),
        sa.PrimaryKeyConstraint("currency", "booked_on", "sha256", name=op.f("bank_statement_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "channel_payout",
        sa.Column("batch", sa.String(collation="C"), nullable=False),
        sa.Column("channel", sa.String(collation="C"), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(collation="C"), nullable=False),
        sa.Column("charge_minor", sa.BigInteger(), nullable=False),
        sa.Column("refund_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(collation="C"), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=True),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("statement_sha256", sa.String(collation="C"), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('differs', 'expected', 'missing', 'received')", name=op.f("channel_payout_state_check")
        ),
        sa.CheckConstraint(
            "net_minor = charge_minor - refund_minor - fee_minor", name=op.f("channel_payout_equation_check")
        ),
        sa.PrimaryKeyConstraint("batch", name=op.f("channel_payout_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("channel_payout_settled_on_channel_idx"),
        "channel_payout",
        ["settled_on", "channel"],
        unique=False,
        schema="pipeline",
    )
