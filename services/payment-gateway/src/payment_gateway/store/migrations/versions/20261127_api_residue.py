"""What rounding leaves of conversions, until it is a whole minor unit.

Revision: 20261127_api_residue
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_api_residue"
down_revision = "20261127_subjects3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is carried over: conversions of before have no residue in their journal, and stay out of the sum."""
    op.create_table(
        "fx_residue",
        sa.Column("id", sa.String(3), nullable=False),
        sa.Column("carried_atto", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("fx_residue_pkey")),
        sa.CheckConstraint(
            "abs(carried_atto) < 1000000000000000000", name=op.f("fx_residue_carried_is_below_one_check")
        ),
        schema="payments",
    )
    op.execute("REVOKE DELETE ON payments.fx_residue FROM payments_app")
