"""The statuses of payments that are created before they are confirmed.

Revision: 20261126_statuses
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261126_statuses"
down_revision = "pipeline_0001"
branch_labels = None
depends_on = None

STATUSES = (
    "authorised", "cancelled", "captured", "declined", "expired", "failed", "partially_captured", "processing",
    "requires_action", "requires_confirmation", "requires_payment_method", "unknown", "voided",
)  # fmt: skip


def upgrade() -> None:
    listed = ", ".join(f"'{status}'" for status in STATUSES)
    name = "fact_payment_status_check"
    # NOT VALID, then VALIDATE: no long lock on a table that is being written.
    op.execute(f"ALTER TABLE pipeline.fact_payment DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE pipeline.fact_payment ADD CONSTRAINT {name} CHECK (status IN ({listed})) NOT VALID"
    )
    op.execute(f"ALTER TABLE pipeline.fact_payment VALIDATE CONSTRAINT {name}")
