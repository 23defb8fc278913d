"""Indexes that find a subject's payments, and what is not sealed yet.

Revision: 20261127_subjects2
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_subjects2"
down_revision = "20261127_subjects"
branch_labels = None
depends_on = None

INDEXES = {
    "payment_by_subject_idx": "payment ((customer ->> 'subject')) WHERE (customer ->> 'subject') IS NOT NULL",
    "payment_unsealed_idx": "payment (id)"
    " WHERE jsonb_typeof(customer) = 'object' AND (customer ->> 'subject') IS NULL",
    "customer_unsealed_idx": "customer (id) WHERE personal IS NULL AND deleted_at IS NULL",
    "customer_by_email_idx": "customer (email_hash) WHERE email_hash IS NOT NULL",
    "payment_method_unsealed_idx": "payment_method (id)"
    " WHERE billing_details <> '{}'::jsonb AND (billing_details ->> 'subject') IS NULL",
}


def upgrade() -> None:
    """Beside live payments, in a revision of its own: begun again, it removes what a try before left half built."""
    with op.get_context().autocommit_block():
        for name, what in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS payments.{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON payments.{what}")
