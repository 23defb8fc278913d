"""Months of the ledger's accounts, and how many stored events all roll-ups have in them.

Revision: 20261127_90
Expand only: the version that runs now must work with the schema after this. It adds to no months and does not count in
the new column, which tells the next version to make up for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_90"
down_revision = "20261127_88"
branch_labels = None
depends_on = None

MEASURES = ("debits_minor", "credits_minor", "debits_held_minor", "credits_held_minor", "entry_count")


def upgrade() -> None:
    op.execute("ALTER TABLE pipeline.rollup_account DROP CONSTRAINT rollup_account_period_check")
    op.execute(
        "ALTER TABLE pipeline.rollup_account ADD CONSTRAINT rollup_account_period_check"
        " CHECK (period IN ('all', 'day', 'hour', 'month'))"
    )
    # From its days: the next version reads months as soon as it runs, before it consumes.
    op.execute(
        f"""
        INSERT INTO pipeline.rollup_account (account, currency, period, bucket_at, {", ".join(MEASURES)})
        SELECT account, currency, 'month', date_trunc('month', bucket_at, 'UTC'),
               {", ".join(f"sum({name})" for name in MEASURES)}
        FROM pipeline.rollup_account WHERE period = 'day' GROUP BY 1, 2, 4
        """  # noqa: S608 - columns of our own
    )
    op.add_column(
        "event_count",
        sa.Column("rolled_up", sa.BigInteger(), nullable=False, server_default="0"),
        schema="pipeline",
    )
