"""Customers and saved payment methods.

Revision: 20261126_customers
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_customers"
down_revision = "20261126_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("customer_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("customer_pkey")),
        schema="payments",
    )
    op.create_index("customer_by_merchant_idx", "customer", ["merchant_id", "id"], schema="payments")
    op.create_table(
        "payment_method",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("method", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("card", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("customer_id", sa.String(collation="C"), nullable=True),
        sa.Column("billing_details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detached_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "type IN ('card', 'wallet', 'bank_transfer')", name=op.f("payment_method_type_check")
        ),
        sa.CheckConstraint(
            "(type = 'card') = (card IS NOT NULL)", name=op.f("payment_method_card_is_shown_check")
        ),
        sa.CheckConstraint(
            "detached_at IS NULL OR customer_id IS NULL",
            name=op.f("payment_method_detached_has_no_customer_check"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["payments.customer.id"], name=op.f("payment_method_customer_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("payment_method_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("payment_method_pkey")),
        schema="payments",
    )
    op.create_index(
        "payment_method_by_merchant_idx", "payment_method", ["merchant_id", "id"], schema="payments"
    )
    op.create_index(
        "payment_method_by_customer_idx",
        "payment_method",
        ["customer_id", "id"],
        schema="payments",
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    )
    op.execute("REVOKE DELETE ON payments.customer, payments.payment_method FROM payments_app")
