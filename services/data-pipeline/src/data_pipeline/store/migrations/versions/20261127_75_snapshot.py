"""Days of facts that changed since the last snapshot, and the history of what was found of them.

Revision: 20261127_75
Expand only: the version that runs now must work with the schema after this.

Nothing is marked here: a snapshot that has no manifest yet begins with every day there is. A consumer of the version
before marks nothing either, so let the first snapshot come after it has gone, as the chart's order of upgrades does.
"""

from alembic import op

revision = "20261127_75"
down_revision = "20261127_79"
branch_labels = None
depends_on = None

TABLES = "'fact_assessment', 'fact_payment', 'fact_refund', 'fact_transfer', 'reconciliation_break'"


def upgrade() -> None:
    op.execute(
        f"""
        CREATE TABLE pipeline.dirty_partition (
            name varchar COLLATE "C" NOT NULL,
            day date NOT NULL,
            marks bigint NOT NULL DEFAULT 1,
            CONSTRAINT dirty_partition_pkey PRIMARY KEY (name, day),
            CONSTRAINT dirty_partition_name_check CHECK (name IN ({TABLES}))
        )
        """
    )
    op.execute(
        f"""
        CREATE TABLE pipeline.quality_check (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT quality_check_pkey PRIMARY KEY,
            name varchar COLLATE "C" NOT NULL,
            day date NOT NULL,
            checked_at timestamptz NOT NULL,
            position bigint NOT NULL,
            row_count bigint NOT NULL,
            failed_count bigint NOT NULL,
            is_blocked boolean NOT NULL,
            failures json NOT NULL,
            CONSTRAINT quality_check_name_check CHECK (name IN ({TABLES})),
            CONSTRAINT quality_check_counts_check CHECK (failed_count BETWEEN 0 AND row_count)
        )
        """
    )
    op.execute("CREATE INDEX quality_check_latest_idx ON pipeline.quality_check (name, day, id DESC)")
    op.execute("CREATE INDEX quality_check_time_idx ON pipeline.quality_check (checked_at)")
