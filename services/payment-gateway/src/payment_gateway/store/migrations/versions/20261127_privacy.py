"""An index that finds the evidence of disputes that an older version stored in clear; it is empty once all is sealed.

Revision: 20261127_privacy
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_privacy"
down_revision = "20261127_api_residue"
branch_labels = None
depends_on = None

INDEX = "dispute (id) WHERE evidence <> '{}'::jsonb AND (jsonb_typeof(evidence -> 'sealed') = 'array') IS NOT TRUE"


def upgrade() -> None:
    """Beside live rows, in a revision of its own: begun again, it removes what a try before left half built."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments.dispute_unsealed_idx")
        op.execute(f"CREATE INDEX CONCURRENTLY dispute_unsealed_idx ON payments.{INDEX}")
