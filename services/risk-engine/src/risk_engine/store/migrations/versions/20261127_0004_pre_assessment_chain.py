"""pre: the hash chain over assessments

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-27
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table; the worker fills it from the first assessment on."""
    op.execute("""
        CREATE TABLE risk.assessment_chain (
            position BIGINT NOT NULL,
            assessment_id VARCHAR COLLATE "C" NOT NULL,
            hash BYTEA NOT NULL,
            chained_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT assessment_chain_pkey PRIMARY KEY (position),
            CONSTRAINT assessment_chain_assessment_id_key UNIQUE (assessment_id)
        )
    """)
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.assessment_chain FROM risk_app")
