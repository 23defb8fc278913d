"""Indexes that find what an older process writes in clear beside what is sealed, and the evidence about a subject.

Revision: 20261127_subjects3
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_subjects3"
down_revision = "20261127_subjects2"
branch_labels = None
depends_on = None

INDEXES = {
    "customer_unsealed_idx": "customer (id) WHERE deleted_at IS NULL AND (personal IS NULL OR name IS NOT NULL"
    " OR email IS NOT NULL OR description IS NOT NULL OR metadata <> '{}'::jsonb)",
    "dispute_by_subject_idx": "dispute ((evidence ->> 'subject')) WHERE (evidence ->> 'subject') IS NOT NULL",
}


def upgrade() -> None:
    """Beside live rows, in a revision of its own: begun again, it removes what a try before left half built."""
    with op.get_context().autocommit_block():
        for name, what in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS payments.{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON payments.{what}")
