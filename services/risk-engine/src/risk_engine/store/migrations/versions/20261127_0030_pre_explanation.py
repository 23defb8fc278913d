"""pre: why the model scored as it did

Revision ID: 0030
Revises: 0021
Create Date: 2026-11-27
"""

from alembic import op

revision = "0030"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table, append-only; the index that finds what is not explained is the next revision's."""
    op.execute("""
        CREATE TABLE risk.explanation (
            assessment_id VARCHAR COLLATE "C" NOT NULL,
            model VARCHAR COLLATE "C" NOT NULL,
            reasons JSONB NOT NULL,
            explained_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT explanation_pkey PRIMARY KEY (assessment_id)
        )
    """)
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.explanation FROM risk_app")
