"""When a late payout arrived, and the act of a break that closes by itself.

Revision: 20261127_79
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_79"
down_revision = "20261127_73"
branch_labels = None
depends_on = None

ACTS = (
    "'accept', 'approve', 'assign', 'booked', 'claim', 'closed', 'correct', 'note', 'refused', 'reject', "
    "'reopened', 'write_off'"
)


def upgrade() -> None:
    op.add_column("channel_payout", sa.Column("arrived_on", sa.Date()), schema="pipeline")
    op.execute("ALTER TABLE pipeline.break_act DROP CONSTRAINT break_act_act_check")
    op.execute(f"ALTER TABLE pipeline.break_act ADD CONSTRAINT break_act_act_check CHECK (act IN ({ACTS}))")
