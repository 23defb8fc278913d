"""API keys with a name, scopes and an end.

Revision: 20261126_keys
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_keys"
down_revision = "20261126_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("hint", sa.String(), nullable=True),
        sa.Column("scopes", postgresql.JSONB(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("api_key", column, schema="payments")
    op.create_index("api_key_by_merchant_idx", "api_key", ["merchant_id", "id"], schema="payments")
    op.execute("REVOKE DELETE ON payments.api_key FROM payments_app")
