"""Payments that are created before they are confirmed, cancelled, disputed.

Revision: 20261126_lifecycle
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126_lifecycle"
down_revision = "20261123_initial"
branch_labels = None
depends_on = None

STATUSES = (
    "requires_payment_method", "requires_confirmation", "processing", "requires_action", "unknown", "authorised",
    "partially_captured", "captured", "declined", "failed", "cancelled", "voided", "expired",
)  # fmt: skip


def upgrade() -> None:
    new = (
        sa.Column("disputed_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("authorised_by", sa.String(collation="C"), nullable=True),
        sa.Column("statement_descriptor", sa.String(), nullable=True),
    )
    for column in new:
        op.add_column("payment", column, schema="payments")
    op.alter_column("payment", "method", nullable=True, schema="payments")
    listed = ", ".join(f"'{status}'" for status in STATUSES)
    checks = {
        "payment_status_check": f"status IN ({listed})",
        "payment_refunded_within_captured_check": (
            "0 <= refunded_minor AND 0 <= disputed_minor AND refunded_minor + disputed_minor <= captured_minor"
        ),
        "payment_method_is_known_check": (
            "method IS NOT NULL OR status IN ('requires_payment_method', 'cancelled')"
        ),
    }
    for (
        name,
        rule,
    ) in checks.items():  # NOT VALID, then VALIDATE: no long lock on a table that is being written
        op.execute(f"ALTER TABLE payments.payment DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE payments.payment ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID")
        op.execute(f"ALTER TABLE payments.payment VALIDATE CONSTRAINT {name}")
    op.drop_index("payment_may_expire_idx", "payment", schema="payments")
    op.create_index(
        "payment_may_expire_idx",
        "payment",
        ["created_at"],
        schema="payments",
        postgresql_where=sa.text("status IN ('authorised', 'partially_captured', 'requires_action')"),
    )
    op.create_index("refund_by_merchant_idx", "refund", ["merchant_id", "id"], schema="payments")
