"""Why a refund failed.

Revision: 20261128_gw2
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_gw2"
down_revision = "20261128_gw1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refund", sa.Column("failure_code", sa.String), schema="payments")
