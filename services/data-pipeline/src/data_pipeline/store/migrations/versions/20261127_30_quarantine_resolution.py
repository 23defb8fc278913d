"""Who took an event out of quarantine, when, how and why; an index to page by.

Revision: 20261127_30
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_30"
down_revision = "20261126_statuses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE pipeline.quarantine
            ADD COLUMN outcome varchar COLLATE "C",
            ADD COLUMN resolved_at timestamptz,
            ADD COLUMN resolved_by varchar COLLATE "C",
            ADD COLUMN reason varchar,
            ADD CONSTRAINT quarantine_resolution_check CHECK (
                (state = 'open') = (resolved_at IS NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)
                AND (state <> 'discarded' OR reason IS NOT NULL)
            )
        """
    )
    op.execute("CREATE INDEX quarantine_state_idx ON pipeline.quarantine (state, id)")
