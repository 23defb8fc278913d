"""The act of a correction that the ledger refused.

Revision: 20261127_61
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_61"
down_revision = "20261127_63"
branch_labels = None
depends_on = None

ACTS = (
    "'accept', 'approve', 'assign', 'booked', 'claim', 'correct', 'note', 'refused', 'reject', 'reopened', "
    "'write_off'"
)


def upgrade() -> None:
    op.execute("ALTER TABLE pipeline.break_act DROP CONSTRAINT break_act_act_check")
    op.execute(f"ALTER TABLE pipeline.break_act ADD CONSTRAINT break_act_act_check CHECK (act IN ({ACTS}))")
