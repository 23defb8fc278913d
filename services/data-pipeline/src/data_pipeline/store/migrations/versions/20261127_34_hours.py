"""Roll-ups by the hour.

Revision: 20261127_34
Expand only: the version that runs now must work with the schema after this. It writes no hours; the first batch of the
next version makes them from the minutes.
"""

from alembic import op

revision = "20261127_34"
down_revision = "20261127_33"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # NOT VALID, then VALIDATE: no long lock on a table that is being written.
    op.execute("ALTER TABLE pipeline.rollup DROP CONSTRAINT rollup_grain_check")
    op.execute(
        "ALTER TABLE pipeline.rollup ADD CONSTRAINT rollup_grain_check"
        " CHECK (grain IN ('day', 'hour', 'minute')) NOT VALID"
    )
    op.execute("ALTER TABLE pipeline.rollup VALIDATE CONSTRAINT rollup_grain_check")
