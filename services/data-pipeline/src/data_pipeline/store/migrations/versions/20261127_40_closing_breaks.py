"""Breaks of fees and statuses, and what people do about breaks.

Revision: 20261127_40
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_40"
down_revision = "20261127_30"
branch_labels = None
depends_on = None

CLASSES = (
    "amount_differs", "currency_differs", "duplicate_in_file", "duplicate_in_ledger", "fee_differs",
    "missing_in_channel_file", "missing_in_ledger", "status_differs", "timing",
)  # fmt: skip
STATES = "'booking', 'claimed', 'open', 'proposed', 'resolved'"
ACTS = (
    "'accept', 'approve', 'assign', 'booked', 'claim', 'correct', 'note', 'reject', 'reopened', 'write_off'"
)


def upgrade() -> None:
    op.add_column(
        "reconciliation_run",
        sa.Column("tolerated_count", sa.BigInteger(), server_default="0", nullable=False),
        schema="pipeline",
    )
    for column in (
        sa.Column("file_text", sa.String()),
        sa.Column("file_fee_minor", sa.BigInteger()),
        sa.Column("expected_fee_minor", sa.BigInteger()),
        sa.Column("ledger_status", sa.String(collation="C")),
        sa.Column("state", sa.String(collation="C"), server_default="open", nullable=False),
        sa.Column("resolution", sa.String(collation="C")),
        sa.Column("decided_by", sa.String(collation="C")),
        sa.Column("owner", sa.String(collation="C")),
    ):
        op.add_column("reconciliation_break", column, schema="pipeline")
    name = "reconciliation_break_break_class_check"
    listed = ", ".join(f"'{word}'" for word in CLASSES)
    op.execute(f"ALTER TABLE pipeline.reconciliation_break DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE pipeline.reconciliation_break ADD CONSTRAINT {name} CHECK (break_class IN ({listed}))"
    )
    op.create_check_constraint(
        op.f("reconciliation_break_state_check"),
        "reconciliation_break",
        f"state IN ({STATES})",
        schema="pipeline",
    )
    op.create_table(
        "break_act",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("break_id", sa.String(collation="C"), nullable=False),
        sa.Column("act", sa.String(collation="C"), nullable=False),
        sa.Column("actor", sa.String(collation="C"), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("owner", sa.String(collation="C"), nullable=True),
        sa.Column("state", sa.String(collation="C"), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"act IN ({ACTS})", name=op.f("break_act_act_check")),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("break_act_state_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("break_act_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("break_act_break_id_at_idx"), "break_act", ["break_id", "at"], unique=False, schema="pipeline"
    )
    op.create_index(
        "fact_transfer_reference_idx",
        "fact_transfer",
        ["channel_reference"],
        unique=False,
        schema="pipeline",
        postgresql_where=sa.text("channel_reference IS NOT NULL"),
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.break_act FROM pipeline_app")
