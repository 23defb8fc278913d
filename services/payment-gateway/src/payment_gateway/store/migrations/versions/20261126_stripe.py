"""Setup intents, and metadata of refunds.

Revision: 20261126_stripe
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_stripe"
down_revision = "20261126_customers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "refund",
        sa.Column("metadata", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'")),
        schema="payments",
    )
    op.create_table(
        "setup_intent",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(collation="C"), nullable=True),
        sa.Column("payment_method_id", sa.String(collation="C"), nullable=True),
        sa.Column("decline_code", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("usage", sa.String(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('requires_payment_method', 'requires_confirmation', 'requires_action', 'succeeded',"
            " 'cancelled')",
            name=op.f("setup_intent_status_check"),
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("setup_intent_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("setup_intent_pkey")),
        schema="payments",
    )
    op.create_index("setup_intent_by_merchant_idx", "setup_intent", ["merchant_id", "id"], schema="payments")
    op.execute("REVOKE DELETE ON payments.setup_intent FROM payments_app")
