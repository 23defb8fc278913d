"""pre: the people of risk control

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-27
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """People are ended, never deleted: their names stand in the records of what they did."""
    op.execute("""
        CREATE TABLE risk.staff (
            id VARCHAR COLLATE "C" NOT NULL,
            name VARCHAR COLLATE "C" NOT NULL,
            role VARCHAR COLLATE "C" NOT NULL,
            token_hash BYTEA NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            ended_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT staff_pkey PRIMARY KEY (id),
            CONSTRAINT staff_role_check CHECK (role IN ('analyst', 'lead', 'auditor')),
            CONSTRAINT staff_token_hash_key UNIQUE (token_hash)
        )
    """)
    op.execute("CREATE UNIQUE INDEX staff_name_idx ON risk.staff (name) WHERE ended_at IS NULL")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.staff FROM risk_app")
    op.execute("GRANT UPDATE (ended_at) ON risk.staff TO risk_app")
