"""pre: find the assessments that a list spoke of

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-27
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Beside live decisions, in a revision of its own: begun again, it removes what a try before left half built. Only
    rows that a list spoke of are in it: an assessment that no list knows pays nothing."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS risk.assessment_listed_idx")
        op.execute("""
            CREATE INDEX CONCURRENTLY assessment_listed_idx ON risk.assessment
            USING gin ((outcome -> 'lists')) WHERE outcome -> 'lists' IS NOT NULL
        """)
