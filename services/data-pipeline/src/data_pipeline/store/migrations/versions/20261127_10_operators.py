"""Operators of the console, their sessions and log-ins.

Revision: 20261127_10
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_10"
down_revision = "20261127_40"
branch_labels = None
depends_on = None

TEXT = sa.String(collation="C")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "operator",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.CheckConstraint(
            "role IN ('admin', 'finance', 'operator', 'viewer')", name=op.f("operator_role_check")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("operator_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "operator_session",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("operator", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["operator"], ["pipeline.operator.name"], name=op.f("operator_session_operator_fkey")
        ),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("operator_session_pkey")),
        schema="pipeline",
    )
    op.create_index(
        op.f("operator_session_operator_idx"), "operator_session", ["operator"], schema="pipeline"
    )
    op.create_table(
        "operator_login",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("operator_login_pkey")),
        schema="pipeline",
    )
    for column in ("name", "address"):
        op.create_index(
            op.f(f"operator_login_{column}_at_idx"), "operator_login", [column, "at"], schema="pipeline"
        )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.operator_login FROM pipeline_app")
