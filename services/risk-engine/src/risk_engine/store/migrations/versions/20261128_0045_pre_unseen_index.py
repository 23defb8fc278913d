"""pre: an index of what was decided without Redis

Revision ID: 0045
Revises: 0044
Create Date: 2026-11-28
"""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Built beside the decisions that are stored meanwhile. One that was left half-built is built again."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS risk.assessment_unseen_idx")
        op.execute(
            "CREATE INDEX CONCURRENTLY assessment_unseen_idx ON risk.assessment (id) "
            "WHERE outcome -> 'degraded' @> '[\"velocity\"]'"
        )
