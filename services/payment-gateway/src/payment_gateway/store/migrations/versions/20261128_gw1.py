"""What a merchant says of a payout that it asks for.

Revision: 20261128_gw1
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_gw1"
down_revision = "20261127_facts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payout",
        sa.Column("metadata", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        schema="payments",
    )
    op.add_column("payout", sa.Column("description", sa.String), schema="payments")
