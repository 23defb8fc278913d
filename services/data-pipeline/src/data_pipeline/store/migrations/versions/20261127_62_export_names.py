"""The name under which an export's file is stored: one an attempt.

Revision: 20261127_62_names
Expand only: the version that runs now must work with the schema after this. A row without a name is one of that
version: its file is called by id and format.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_62_names"
down_revision = "20261127_62"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "export", sa.Column("stored_name", sa.String(collation="C"), nullable=True), schema="pipeline"
    )
