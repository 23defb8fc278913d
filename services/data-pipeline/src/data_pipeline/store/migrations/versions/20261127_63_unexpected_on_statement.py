"""A class of break for lines of the bank's statement that no batch expects.

Revision: 20261127_63
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_63"
down_revision = "20261127_62_names"
branch_labels = None
depends_on = None

CLASSES = (
    "amount_differs", "currency_differs", "duplicate_in_file", "duplicate_in_ledger", "fee_differs",
    "missing_in_channel_file", "missing_in_ledger", "payout_amount_differs", "payout_not_received", "status_differs",
    "timing", "unexpected_on_statement",
)  # fmt: skip


def upgrade() -> None:
    name = "reconciliation_break_break_class_check"
    listed = ", ".join(f"'{word}'" for word in CLASSES)
    op.execute(f"ALTER TABLE pipeline.reconciliation_break DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE pipeline.reconciliation_break ADD CONSTRAINT {name} CHECK (break_class IN ({listed}))"
    )
