"""Merchants have a pinned API version and may be disabled, keys a last use, and administrative acts a log.

Revision: 20261126_admin
Expand only: the version that runs now makes merchants without an API version; theirs is the one that it speaks.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_admin"
down_revision = "20261126_access"
branch_labels = None
depends_on = None

_MERCHANT = "current_setting('platform.merchant_id', true)"


def upgrade() -> None:
    op.add_column(
        "merchant",
        sa.Column("api_version", sa.String(), nullable=False, server_default="2026-11-26"),
        schema="payments",
    )
    op.add_column("merchant", sa.Column("disabled_at", sa.DateTime(timezone=True)), schema="payments")
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True)), schema="payments")
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(collation="C"), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(collation="C"), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.CheckConstraint(
            "actor IN ('administrator', 'api_key', 'platform')", name=op.f("audit_entry_actor_check")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("audit_entry_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_entry_pkey")),
        schema="payments",
    )
    op.create_index("audit_entry_by_merchant_idx", "audit_entry", ["merchant_id", "id"], schema="payments")
    op.execute("REVOKE UPDATE, DELETE ON payments.audit_entry FROM payments_app")
    for table, column in (("merchant", "id"), ("audit_entry", "merchant_id")):
        name = f"payments.{table}"
        op.execute(f"GRANT SELECT ON {name} TO payments_tenant")
        op.execute(f"CREATE POLICY all_rows ON {name} TO payments_app USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY own_rows ON {name} FOR SELECT TO payments_tenant USING ({column} = {_MERCHANT})"
        )
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
