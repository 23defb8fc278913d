"""Hours of reports that were counted, and how often the facts of an hour have changed.

Revision: 20261128_85
Expand only: the version that runs now must work with the schema after this. It counts no changes; whoever takes the
consumer's lease from it lets go of all hours that were counted until then.
"""

from alembic import op

revision = "20261128_85"
down_revision = "20261127_84"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.fact_hour (
            name varchar COLLATE "C" NOT NULL,
            hour_at timestamptz NOT NULL,
            changes bigint NOT NULL DEFAULT 1,
            CONSTRAINT fact_hour_pkey PRIMARY KEY (name, hour_at),
            CONSTRAINT fact_hour_name_check CHECK (name IN ('fact_assessment', 'fact_payment', 'fact_transfer'))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE pipeline.report_hour (
            shape varchar COLLATE "C" NOT NULL,
            hour_at timestamptz NOT NULL,
            renewals bigint NOT NULL,
            changes bigint NOT NULL,
            rows json NOT NULL,
            made_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT report_hour_pkey PRIMARY KEY (shape, hour_at)
        )
        """
    )
    op.execute("CREATE INDEX report_hour_made_idx ON pipeline.report_hour (made_at)")
