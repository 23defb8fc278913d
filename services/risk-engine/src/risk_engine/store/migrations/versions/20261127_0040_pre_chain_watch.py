"""pre: how far the chain was recomputed, and the head that was seen last

Revision ID: 0040
Revises: 0035
Create Date: 2026-11-27
"""

from alembic import op

revision = "0040"
down_revision = "0035"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE risk.chain_watch (
        one BOOLEAN DEFAULT true NOT NULL,
        checked_to BIGINT DEFAULT 0 NOT NULL,
        swept_at TIMESTAMP WITH TIME ZONE,
        head_position BIGINT DEFAULT 0 NOT NULL,
        head_hash BYTEA,
        broken_at BIGINT,
        CONSTRAINT chain_watch_pkey PRIMARY KEY (one),
        CONSTRAINT chain_watch_one_check CHECK (one)
    )
    """,
    "INSERT INTO risk.chain_watch DEFAULT VALUES",
    "REVOKE INSERT, DELETE, TRUNCATE ON risk.chain_watch FROM risk_app",
)


def upgrade() -> None:
    """One row; it is read and moved by one job."""
    for statement in STATEMENTS:
        op.execute(statement)
