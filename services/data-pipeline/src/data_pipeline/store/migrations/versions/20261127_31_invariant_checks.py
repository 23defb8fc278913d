"""What each invariant was found to be, and when; transfers found by position.

Revision: 20261127_31
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_31"
down_revision = "20261127_41"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.invariant_check (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT invariant_check_pkey PRIMARY KEY,
            name varchar COLLATE "C" NOT NULL,
            severity varchar COLLATE "C" NOT NULL,
            checked_at timestamptz NOT NULL,
            position bigint,
            is_kept boolean,
            figures json NOT NULL,
            CONSTRAINT invariant_check_severity_check CHECK (severity IN ('critical', 'warning'))
        )
        """
    )
    op.execute("CREATE INDEX invariant_check_latest_idx ON pipeline.invariant_check (name, id)")
    # BRIN: rows come nearly in the order of positions, so a few kilobytes find the newest, for next to nothing.
    op.execute("CREATE INDEX fact_transfer_position_idx ON pipeline.fact_transfer USING brin (position)")
    # Always empty when all is well, so it costs nothing to look whether it is.
    op.execute(
        "CREATE INDEX fact_payment_over_refunded_idx ON pipeline.fact_payment (payment_id)"
        " WHERE refunded_minor > captured_minor"
    )
