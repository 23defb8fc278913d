"""An index that finds what is under review by its assessment.

Revision: 20261127_reviews2
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_reviews2"
down_revision = "20261127_reviews"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Beside live payments, in a revision of its own: begun again, it removes what a try before left half built."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments.payment_by_assessment_idx")
        op.execute("""
            CREATE INDEX CONCURRENTLY payment_by_assessment_idx ON payments.payment ((risk ->> 'assessment_id'))
            WHERE risk ->> 'decision' = 'review'
        """)
