"""pre: find the assessments that are not explained yet

Revision ID: 0031
Revises: 0030
Create Date: 2026-11-27
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Beside live decisions, in a revision of its own: begun again, it removes what a try before left half built."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS risk.assessment_to_explain_idx")
        op.execute("""
            CREATE INDEX CONCURRENTLY assessment_to_explain_idx ON risk.assessment (id)
            WHERE decision <> 'allow' AND model IS NOT NULL
        """)
