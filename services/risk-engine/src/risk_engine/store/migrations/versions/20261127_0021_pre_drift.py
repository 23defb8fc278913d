"""pre: references that drift is measured against

Revision ID: 0021
Revises: 0020
Create Date: 2026-11-27
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand; a reference is never edited."""
    op.execute("""
        CREATE TABLE risk.drift_reference (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            model VARCHAR COLLATE "C" NOT NULL,
            samples JSONB NOT NULL,
            pinned_by VARCHAR NOT NULL,
            pinned_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT drift_reference_pkey PRIMARY KEY (id)
        )
    """)
    op.execute("CREATE INDEX drift_reference_model_id_idx ON risk.drift_reference (model, id)")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.drift_reference FROM risk_app")
