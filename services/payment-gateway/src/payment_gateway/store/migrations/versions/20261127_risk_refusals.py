"""How often the channel refused what a verdict asks for; `tries` counts waits, too.

Revision: 20261127_risk_refusals
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_risk_refusals"
down_revision = "20261127_privacy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A constant default is no rewrite."""
    op.add_column(
        "review_verdict",
        sa.Column(
            "refusals", sa.Integer, nullable=False, server_default=sa.text("0"), comment="of the channel"
        ),
        schema="payments",
    )
    op.alter_column("review_verdict", "tries", comment="also those that only waited", schema="payments")
