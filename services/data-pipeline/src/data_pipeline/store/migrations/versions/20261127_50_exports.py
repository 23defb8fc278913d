"""Files that people asked for.

Revision: 20261127_50
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_50"
down_revision = "20261127_34"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, time = sa.String(collation="C"), sa.DateTime(timezone=True)
    op.create_table(
        "export",
        sa.Column("id", text, nullable=False),
        sa.Column("subject", text, nullable=False),
        sa.Column("question", sa.JSON(), nullable=False),
        sa.Column("format", text, nullable=False),
        sa.Column("state", text, server_default="due", nullable=False),
        sa.Column("requested_by", text, nullable=False),
        sa.Column("requested_at", time, server_default=sa.text("now()"), nullable=False),
        sa.Column("attempt_count", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_until", time, nullable=True),
        sa.Column("progress_percent", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("row_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.Column("fault", sa.String(), nullable=True),
        sa.Column("finished_at", time, nullable=True),
        sa.Column("expires_at", time, nullable=True),
        sa.CheckConstraint("state IN ('done', 'due', 'expired', 'failed', 'running')", name="state"),
        sa.CheckConstraint("format IN ('csv', 'parquet', 'xlsx')", name="format"),
        sa.PrimaryKeyConstraint("id", name=op.f("export_pkey")),
        schema="pipeline",
    )
    for name, column, where in (
        ("export_due_idx", "requested_at", "state IN ('due', 'running')"),
        ("export_latest_idx", sa.text("requested_at DESC"), None),
        ("export_expires_idx", "expires_at", "state = 'done'"),
    ):
        op.create_index(
            name, "export", [column], schema="pipeline",
            postgresql_where=sa.text(where) if where else None,
        )  # fmt: skip
