"""Indexes of the console's payment list.

Revision: 20261127_11
Expand only: the version that runs now must work with the schema after this. Not CONCURRENTLY: the only writer is the
consumer, which waits and goes on at its cursor.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_11"
down_revision = "20261127_10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("status", "channel", "decision", "merchant_id"):
        columns = [name, sa.text("created_at DESC")]
        op.create_index(f"fact_payment_{name}_idx", "fact_payment", columns, schema="pipeline")
    op.create_index(
        "fact_payment_amount_idx", "fact_payment", ["currency", "amount_minor"], schema="pipeline"
    )
