"""Refunds in the order of their time: the id of one that a bank sent back comes of the channel's, and tells none.

Revision: 20261128_refunds_by_time
The version that runs now must work with the schema after this: without its index it sorts a merchant's refunds.
"""

from alembic import op

revision = "20261128_refunds_by_time"
down_revision = "20261128_gw5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("refund_by_merchant_idx", table_name="refund", schema="payments")
    op.create_index(
        "refund_by_merchant_idx", "refund", ["merchant_id", "created_at", "id"], schema="payments"
    )
