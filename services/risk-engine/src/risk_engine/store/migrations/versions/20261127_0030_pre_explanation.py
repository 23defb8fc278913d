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
    """The table, append-only, and the index that finds what is not explained yet."""
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
    with op.get_context().autocommit_block():  # CONCURRENTLY: decisions go on while a grown table is indexed
        op.execute("""
            CREATE INDEX CONCURRENTLY IF NOT EXISTS assessment_to_explain_idx ON risk.assessment (id)
                WHERE decision <> 'allow' AND model IS NOT NULL
        """)
